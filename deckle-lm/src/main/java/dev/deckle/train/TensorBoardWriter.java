package dev.deckle.train;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.zip.CRC32C;

/// Scalars for TensorBoard, in a file `events.out.tfevents.SECONDS.HOST` of their own for each run or resumption.
///
/// The file is a sequence of records, each a protocol buffer with its length, both under a CRC-32C that is rotated and
/// offset so that a checksum of checksums stays strong (all numbers little-endian):
/// ```
/// u64 length | u32 masked(crc(length)) | data | u32 masked(crc(data))
/// ```
/// The data is an `Event` of five fields (1 wall_time, 2 step, 3 file_version, 5 summary, 7 session_log), little enough
/// to be encoded by hand. Records are complete as soon as they are written: a killed run leaves a readable file.
public final class TensorBoardWriter implements AutoCloseable {
    private static final int VARINT = 0;
    private static final int FIXED64 = 1;
    private static final int BYTES = 2;
    private static final int FIXED32 = 5;

    private final Path file;
    private final FileChannel channel;
    private final Clock clock;

    private TensorBoardWriter(Path file, FileChannel channel, Clock clock) {
        this.file = file;
        this.channel = channel;
        this.clock = clock;
    }

    /// A new file in `folder`, which is made if need be.
    ///
    /// @param firstStep the first step that will be written. TensorBoard then forgets what earlier files in the folder
    ///        say about this step and later ones: an interrupted run had gone beyond its checkpoint.
    public static TensorBoardWriter open(Path folder, long firstStep) throws IOException {
        return open(folder, firstStep, Clock.systemUTC());
    }

    static TensorBoardWriter open(Path folder, long firstStep, Clock clock) throws IOException {
        Files.createDirectories(folder);
        String host = Objects.requireNonNullElse(System.getenv("HOSTNAME"), "localhost").replace('/', '_');
        String name = "events.out.tfevents." + clock.instant().getEpochSecond() + "." + host;
        for (int again = 0;; again++) { // a second run in the same second
            Path file = folder.resolve(again == 0 ? name : name + "." + again);
            FileChannel channel;
            try {
                channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
            } catch (FileAlreadyExistsException e) {
                continue;
            }
            var writer = new TensorBoardWriter(file, channel, clock);
            writer.append(writer.event(0).bytes(3, "brain.Event:2".getBytes(StandardCharsets.UTF_8)));
            writer.append(writer.event(firstStep).bytes(7, new Proto().varint(1, 1).toBytes())); // SessionLog: START
            return writer;
        }
    }

    public Path file() {
        return file;
    }

    /// The values of one step by name, such as `train/loss`; names before the slash group the charts.
    public void add(long step, Map<String, ? extends Number> scalars) throws IOException {
        var summary = new Proto();
        scalars.forEach((tag, value) -> summary.bytes(
                1,
                new Proto().bytes(1, tag.getBytes(StandardCharsets.UTF_8)).fixed32(2, value.floatValue()).toBytes()));
        append(event(step).bytes(5, summary.toBytes()));
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    private Proto event(long step) {
        Instant now = clock.instant();
        return new Proto().fixed64(1, now.getEpochSecond() + now.getNano() * 1e-9).varint(2, step);
    }

    private void append(Proto event) throws IOException {
        byte[] data = event.toBytes();
        ByteBuffer b = ByteBuffer.allocate(8 + 4 + data.length + 4).order(ByteOrder.LITTLE_ENDIAN);
        b.putLong(data.length).putInt(masked(b.array(), 0, 8)).put(data).putInt(masked(data, 0, data.length)).flip();
        while (b.hasRemaining()) {
            channel.write(b);
        }
    }

    static int masked(byte[] data, int from, int length) {
        var crc = new CRC32C();
        crc.update(data, from, length);
        return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
    }

    /// A protocol buffer that is being written: each field is `number << 3 | wire type` and a value.
    private static final class Proto {
        private ByteBuffer b = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);

        Proto varint(int field, long value) {
            return key(field, VARINT).number(value);
        }

        Proto fixed64(int field, double value) {
            key(field, FIXED64).room(8).putDouble(value);
            return this;
        }

        Proto fixed32(int field, float value) {
            key(field, FIXED32).room(4).putFloat(value);
            return this;
        }

        Proto bytes(int field, byte[] value) {
            key(field, BYTES).number(value.length).room(value.length).put(value);
            return this;
        }

        byte[] toBytes() {
            return Arrays.copyOf(b.array(), b.position());
        }

        private Proto key(int field, int type) {
            return number(field << 3 | type);
        }

        /// Seven bits a byte, the lowest first; the top bit says that more follow.
        private Proto number(long v) {
            room(10);
            for (; (v & ~0x7fL) != 0; v >>>= 7) {
                b.put((byte) (v | 0x80));
            }
            b.put((byte) v);
            return this;
        }

        private ByteBuffer room(int n) {
            if (b.remaining() < n) {
                b = ByteBuffer.allocate(2 * (b.capacity() + n)).order(ByteOrder.LITTLE_ENDIAN).put(b.flip());
            }
            return b;
        }
    }
}
