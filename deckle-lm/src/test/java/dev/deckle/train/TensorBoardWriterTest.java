package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TensorBoardWriterTest {
    private static final Clock CLOCK = Clock.fixed(Instant.ofEpochSecond(1_700_000_000, 500_000_000), ZoneOffset.UTC);

    @TempDir
    Path folder;

    /// The check value of CRC-32C over "123456789" is e3069283; masked by hand.
    @Test
    void checksumsAreMasked() {
        byte[] digits = "123456789".getBytes(StandardCharsets.US_ASCII);
        int crc = 0xe3069283;
        assertEquals((crc >>> 15 | crc << 17) + 0xa282ead8, TensorBoardWriter.masked(digits, 0, 9));
        // how the files that TensorFlow writes begin: a record of 24 bytes, and this checksum of its length
        assertEquals(0x224b7fa3, TensorBoardWriter.masked(little(8).putLong(24).array(), 0, 8));
    }

    /// Written out by hand from the protocol buffer encoding.
    @Test
    void eventsAreEncodedAsTheFormatSays() throws Exception {
        Path file;
        try (var writer = TensorBoardWriter.open(folder, 1, CLOCK)) {
            file = writer.file();
            writer.add(300, Map.of("loss", 1.5));
        }
        assertTrue(file.getFileName().toString().startsWith("events.out.tfevents.1700000000."), file.toString());
        List<byte[]> records = records(file);
        String time = "09" + HexFormat.of().formatHex(little(8).putDouble(1_700_000_000.5).array());
        String version = HexFormat.of().formatHex("brain.Event:2".getBytes(StandardCharsets.US_ASCII));
        assertEquals(time + "1000" + "1a0d" + version, hex(records.get(0)));
        assertEquals(time + "1001" + "3a02" + "0801", hex(records.get(1)), "a session starts at step 1");
        // step 300 = 0xac 0x02; summary of 13 bytes: value of 11: tag of 4, and a float
        assertEquals(time + "10ac02" + "2a0d" + "0a0b" + "0a046c6f7373" + "150000c03f", hex(records.get(2)));
        assertEquals(3, records.size());
    }

    @Test
    void aLongSummaryOutgrowsTheFirstBuffer() throws Exception {
        Map<String, Double> many = new TreeMap<>();
        for (int i = 0; i < 100; i++) {
            many.put("train/quantity_" + i, (double) i);
        }
        try (var writer = TensorBoardWriter.open(folder, 1, CLOCK)) {
            writer.add(1L << 40, many);
            String text = new String(records(writer.file()).get(2), StandardCharsets.ISO_8859_1);
            many.keySet().forEach(tag -> assertTrue(text.contains(tag), tag));
        }
    }

    @Test
    void aResumedRunHasAFileOfItsOwn() throws Exception {
        try (var first = TensorBoardWriter.open(folder, 1, CLOCK)) {
            first.add(1, Map.of("loss", 2));
            byte[] before = Files.readAllBytes(first.file());
            try (var second = TensorBoardWriter.open(folder, 2, CLOCK)) {
                assertNotEquals(first.file(), second.file());
                second.add(2, Map.of("loss", 1));
            }
            assertArrayEquals(before, Files.readAllBytes(first.file()));
        }
    }

    /// Reads a file back, checking both checksums of each record.
    private static List<byte[]> records(Path file) throws Exception {
        ByteBuffer b = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        List<byte[]> records = new ArrayList<>();
        while (b.hasRemaining()) {
            int start = b.position();
            byte[] data = new byte[Math.toIntExact(b.getLong())];
            assertEquals(TensorBoardWriter.masked(b.array(), start, 8), b.getInt());
            b.get(data);
            assertEquals(TensorBoardWriter.masked(data, 0, data.length), b.getInt());
            records.add(data);
        }
        return records;
    }

    private static ByteBuffer little(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static String hex(byte[] data) {
        return HexFormat.of().formatHex(data);
    }
}
