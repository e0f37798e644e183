package dev.deckle.data;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.zip.CRC32C;

/// Token ids in a file, mapped into memory: documents one after the other, each followed by the end token.
///
/// The layout, little endian: a header of 104 bytes (the magic `DECKTOK1`; int bytes per id; int number of documents;
/// long number of tokens; long bytes of text; the key, 64 characters; long CRC-32C of the ids and then of all before
/// it), then the ids, two bytes each for vocabularies up to 65,536 and otherwise four. Threads may share an open file.
public final class TokenFile implements AutoCloseable {
    private static final byte[] MAGIC = "DECKTOK1".getBytes(StandardCharsets.US_ASCII);
    private static final int KEY = 64;
    private static final int CRC = 32 + KEY;
    private static final int HEADER = CRC + 8;
    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Arena arena = Arena.ofShared();
    private final MemorySegment ids;
    private final boolean wide;
    private final int documents;
    private final long size;
    private final long textBytes;
    private final long checksum;

    private TokenFile(Path file, String key) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer header = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
            while (header.hasRemaining() && channel.read(header) >= 0) {}
            if (header.hasRemaining()) {
                throw new IOException(file + ": not a token file: " + channel.size() + " bytes");
            }
            header.flip();
            byte[] magic = new byte[MAGIC.length];
            header.get(magic);
            int width = header.getInt();
            documents = header.getInt();
            size = header.getLong();
            textBytes = header.getLong();
            byte[] storedKey = new byte[KEY];
            header.get(storedKey);
            wide = width == 4;
            if (!Arrays.equals(magic, MAGIC) || width != 2 && width != 4) {
                throw new IOException(file + ": not a token file");
            }
            if (size < 0 || size > Long.MAX_VALUE / 8 || channel.size() != HEADER + size * width) {
                throw new IOException(file + ": " + channel.size() + " bytes, expected " + (HEADER + size * width));
            }
            if (!key.isEmpty() && !key.equals(new String(storedKey, StandardCharsets.US_ASCII))) {
                throw new IOException(file + ": tokens of another corpus, tokenizer or seed");
            }
            ids = channel.map(FileChannel.MapMode.READ_ONLY, HEADER, size * width, arena);
            checksum = header.getLong(CRC);
            if (crc(ids, header) != checksum) {
                throw new IOException(file + ": damaged: its checksum does not fit");
            }
        } catch (IOException | RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    /// Opens a token file and checks it from end to end.
    ///
    /// @throws IOException if it is missing, foreign, cut short or damaged; the message names it
    public static TokenFile open(Path file) throws IOException {
        return new TokenFile(file, "");
    }

    /// As [#open(Path)], and refuses the tokens of another key.
    static TokenFile open(Path file, String key) throws IOException {
        return new TokenFile(file, key);
    }

    /// The number of tokens.
    public long size() {
        return size;
    }

    public int documents() {
        return documents;
    }

    /// How many bytes of text the tokens stand for.
    public long textBytes() {
        return textBytes;
    }

    /// Turns a mean loss in nats per token into bits per byte of text, which does not depend on the tokenizer.
    public double bitsPerByte(double lossPerToken) {
        return lossPerToken / Math.log(2) * size / textBytes;
    }

    public int get(long position) {
        return wide ? ids.getAtIndex(I32, position) : Short.toUnsignedInt(ids.getAtIndex(U16, position));
    }

    /// CRC-32C of the ids: two files with equal ones hold the same tokens.
    public long checksum() {
        return checksum;
    }

    /// Copies the tokens `position, position + 1, ...` into `target[offset, offset + n)`.
    public void copy(long position, int n, int[] target, int offset) {
        for (int i = 0; i < n; i++) {
            target[offset + i] = get(position + i);
        }
    }

    /// Unmaps the file. Reading from it afterwards is an error.
    @Override
    public void close() {
        arena.close();
    }

    private static long crc(MemorySegment bytes, ByteBuffer header) {
        var crc = new CRC32C();
        for (long at = 0; at < bytes.byteSize(); at += 1 << 30) {
            crc.update(bytes.asSlice(at, Math.min(1 << 30, bytes.byteSize() - at)).asByteBuffer());
        }
        crc.update(header.slice(0, CRC));
        return crc.getValue();
    }

    /// Writes a token file under a temporary name; [#finish] gives it its own once everything is on the disk, and
    /// closing before that removes it. So a file with the right name is always whole.
    static final class Writer implements AutoCloseable {
        private final Path file;
        private final Path partial;
        private final FileChannel channel;
        private final int width;
        private final CRC32C crc = new CRC32C();
        private final ByteBuffer buffer = ByteBuffer.allocate(1 << 16).order(ByteOrder.LITTLE_ENDIAN);
        private int documents;
        private long size;
        private long textBytes;

        Writer(Path file, int vocabularySize) throws IOException {
            this.file = file;
            width = vocabularySize <= 1 << 16 ? 2 : 4;
            Files.createDirectories(file.toAbsolutePath().getParent());
            // a name of its own, so that two processes may build the same file at once
            partial = file.resolveSibling(file.getFileName() + "." + ProcessHandle.current().pid() + ".partial");
            channel = FileChannel.open(partial, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING,
                    StandardOpenOption.WRITE);
            channel.position(HEADER);
        }

        void document(int[] ids, int endToken, long bytes) throws IOException {
            for (int id : ids) {
                put(id);
            }
            put(endToken);
            documents++;
            textBytes += bytes;
        }

        void finish(String key) throws IOException {
            drain();
            ByteBuffer header = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
            header.put(MAGIC).putInt(width).putInt(documents).putLong(size).putLong(textBytes);
            header.put(key.getBytes(StandardCharsets.US_ASCII));
            crc.update(header.slice(0, CRC));
            header.putLong(crc.getValue()).rewind();
            channel.position(0);
            while (header.hasRemaining()) {
                channel.write(header);
            }
            channel.force(true);
            channel.close();
            Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
        }

        private void put(int id) throws IOException {
            if (buffer.remaining() < width) {
                drain();
            }
            if (width == 2) {
                buffer.putShort((short) id);
            } else {
                buffer.putInt(id);
            }
            size++;
        }

        private void drain() throws IOException {
            buffer.flip();
            crc.update(buffer.duplicate());
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
            buffer.clear();
        }

        @Override
        public void close() throws IOException {
            channel.close();
            Files.deleteIfExists(partial);
        }
    }
}
