package dev.deckle.data;

import dev.deckle.io.AtomicFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.function.LongConsumer;

/// A file of signed 64-bit integers, little endian, one after the other and nothing else.
///
/// It is read by positional reads, not mapped: a mapped file's pages count as memory of the process that reads them.
public final class LongFile implements LongSource, AutoCloseable {
    private static final int BLOCK = 1 << 20;

    private final Path file;
    private final FileChannel channel;
    private final long count;

    private LongFile(Path file, FileChannel channel) throws IOException {
        this.file = file;
        this.channel = channel;
        long bytes = channel.size();
        if (bytes == 0) {
            throw new IOException(file + ": empty, expected 64-bit integers");
        }
        if (bytes % Long.BYTES != 0) {
            throw new IOException(String.format(
                    "%s: %,d bytes are no 64-bit integers: expected a multiple of 8, %,d are left over", file, bytes,
                    bytes % Long.BYTES));
        }
        count = bytes / Long.BYTES;
    }

    /// Opens a file for reading.
    ///
    /// @throws IOException if it is missing, no regular file, empty, or no whole number of integers long; the message
    ///         names it
    public static LongFile open(Path file) throws IOException {
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new IOException(file + ": not a regular file, and only such a file can be read again and again");
        }
        FileChannel channel = FileChannel.open(file, StandardOpenOption.READ);
        try {
            return new LongFile(file, channel);
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    @Override
    public String name() {
        return file.toString();
    }

    @Override
    public long count() {
        return count;
    }

    @Override
    public void read(long first, MemorySegment into) throws IOException {
        long at = first * Long.BYTES;
        ByteBuffer bytes = into.asByteBuffer();
        while (bytes.hasRemaining()) {
            if (channel.read(bytes, at + bytes.position()) < 0) {
                throw new IOException(String.format("%s: became shorter than its %,d bytes while it was read", file,
                        count * Long.BYTES));
            }
        }
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    /// Writes the numbers of a source as such a file, in place of what is there; the file is whole or not there.
    ///
    /// @param progress told how many numbers are written, from time to time; what it throws ends the writing
    /// @throws IOException if the disk has no room for them, before anything is written
    /// @throws java.io.UncheckedIOException if writing fails, with nothing left behind
    public static void write(Path file, LongSource source, LongConsumer progress) throws IOException {
        long room = Files.getFileStore(file.toAbsolutePath().getParent()).getUsableSpace();
        if (source.count() > room / Long.BYTES) {
            throw new IOException(String.format("%s: %,d integers need %,.1f GB and its disk has %,.1f GB free", file,
                    source.count(), source.count() * 8e-9, room * 1e-9));
        }
        AtomicFile.write(file, channel -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment block = arena.allocate(BLOCK, Long.BYTES);
                for (long at = 0; at < source.count(); at += BLOCK / Long.BYTES) {
                    MemorySegment part = block.asSlice(0, Math.min(BLOCK, (source.count() - at) * Long.BYTES));
                    source.read(at, part);
                    ByteBuffer bytes = part.asByteBuffer();
                    while (bytes.hasRemaining()) {
                        channel.write(bytes);
                    }
                    progress.accept(at + part.byteSize() / Long.BYTES);
                }
            }
        });
    }
}
