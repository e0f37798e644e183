package dev.deckle.zero;

import dev.deckle.io.AtomicFile;
import dev.deckle.memory.MovableMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// The optimizer's state in a file, mapped: read and written once a step, so that the system can keep it out of memory
/// in between. ZeRO-Offload (Ren et al. 2021) does the same from a GPU to its host.
///
/// The file is working memory: what a run resumes from is its checkpoints. Its name is taken away as soon as it is
/// open, where a system can do that, so that its space is free again when the process ends, however it ends.
final class Offload implements StateMemory {
    private static final int ZEROS = 1 << 20;

    private final Path file;
    private final FileChannel channel;
    private final Arena arena = Arena.ofShared();
    private long size;

    private Offload(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /// @throws UncheckedIOException in one line, if the folder cannot be written
    static Offload open(Path folder, int rank) {
        Path file = folder.resolve("optimizer-" + ProcessHandle.current().pid() + "-rank-" + rank + ".bin");
        try {
            Files.createDirectories(folder);
            return new Offload(file, FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ,
                    StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE));
        } catch (IOException e) {
            throw new UncheckedIOException("--offload " + folder + ": cannot be written: " + AtomicFile.reason(e), e);
        }
    }

    @Override
    public Tensor allocate(DType dtype, long numel) {
        long bytes = numel * dtype.bytes();
        try {
            // written, not only reserved: a full disk must be an error here, not a crash at the first access
            ByteBuffer zeros = ByteBuffer.allocateDirect(ZEROS);
            for (long done = 0; done < bytes;) {
                zeros.clear().limit((int) Math.min(ZEROS, bytes - done));
                done += channel.write(zeros, size + done);
            }
            MovableMemory memory = new MovableMemory("the state in " + file);
            // an empty shard has an address too, which nothing is read from
            memory.placeAt(channel.map(FileChannel.MapMode.READ_WRITE, size, Math.max(1, bytes), arena).address());
            size += (bytes + 63) & -64;
            return Tensor.on(memory.part(0, bytes), 0, dtype, Shape.of(Math.toIntExact(numel)));
        } catch (IOException e) {
            throw new UncheckedIOException("--offload: " + file + ": cannot hold the optimizer's state: "
                    + AtomicFile.reason(e), e);
        }
    }

    @Override
    public long bytes() {
        return 0;
    }

    @Override
    public void close() {
        arena.close();
        try {
            channel.close();
        } catch (IOException e) {
            throw new UncheckedIOException(file + ": cannot be deleted: " + AtomicFile.reason(e), e);
        }
    }
}
