package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.deckle.distributed.Meddling;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The optimizer's state in files: the same numbers, no memory, and no file left.
@Timeout(60)
class OffloadTest {
    @TempDir
    private Path folder;

    private Path text;
    private Path files;

    @BeforeEach
    void corpus() throws IOException {
        text = Runs.corpus(folder);
        files = folder.resolve("offload/here");
    }

    private TrainOptions options(int ranks, int zero) {
        TrainOptions o = Runs.options(text, ranks, zero);
        o.offload = files.toString();
        return o;
    }

    private List<Path> files() {
        try (Stream<Path> all = Files.list(files)) {
            return all.toList();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    /// How many files there this process holds open, with a name or without.
    private long opened() throws IOException {
        Path descriptors = Path.of("/proc/self/fd");
        assumeTrue(Files.isDirectory(descriptors), "only Linux says which files a process has open");
        long n = 0;
        try (DirectoryStream<Path> all = Files.newDirectoryStream(descriptors)) {
            for (Path link : all) {
                try {
                    n += Files.readSymbolicLink(link).startsWith(files.toRealPath()) ? 1 : 0;
                } catch (NoSuchFileException _) {
                    // closed meanwhile
                }
            }
        }
        return n;
    }

    @ParameterizedTest
    @CsvSource({"1,0", "3,1", "12,3", "2,2"})
    void theSameBitsAndNoMemory(int ranks, int zero) throws IOException {
        Path expected = folder.resolve("memory");
        Runs.train(Runs.options(text, ranks, zero), expected);
        Path out = folder.resolve("files");
        try (Run run = Pretraining.start(options(ranks, zero).complete(), out, new Runs.Log())) {
            assertEquals(ranks, opened(), "a file a rank");
            assertEquals(List.of(), files(), "no names, so that nothing stays when the process is killed");
            assertTrue(run.train(() -> false));
            assertEquals(0, run.memory().optimizer());
        }
        assertEquals(0, opened());
        assertEquals(List.of(), files());
        for (String file : List.of("model.safetensors", "checkpoints/step-0000012/optimizer.safetensors")) {
            assertArrayEquals(Files.readAllBytes(expected.resolve(file)), Files.readAllBytes(out.resolve(file)), file);
        }
        // and in memory again
        assertEquals(List.of(13L), List.copyOf(Runs.resume(out, o -> {
            o.offload = "";
            o.steps = 13;
            return o;
        }).steps.keySet()));
    }

    @Test
    void aFailureLeavesNoFile() throws IOException {
        AtomicInteger calls = new AtomicInteger();
        Launch launch = Runs.meddling(3, c -> c.rank() != 1 ? c : new Meddling(c, () -> {
            if (calls.incrementAndGet() == 40) {
                throw new IllegalStateException("enough");
            }
        }));
        try (Run run =
                Pretraining.start(options(3, 2).complete(), folder.resolve("out"), new Runs.Log(), launch)) {
            assertEquals("enough", assertThrows(IllegalStateException.class, () -> run.train(() -> false))
                    .getMessage());
            assertEquals(3, opened());
        }
        assertEquals(0, opened());
        assertEquals(List.of(), files());
    }

    @Test
    void aFolderThatCannotBeWritten() throws IOException {
        Files.createDirectories(files.getParent());
        Files.writeString(files, "a file");
        String m = refused(options(3, 1));
        assertTrue(m.startsWith("--offload " + files + ": cannot be written: "), m);
        assertEquals("a file", Files.readString(files));
    }

    /// Refused while the state is made, not by a crash when it is first written.
    @Test
    void aFullDisk() throws IOException, InterruptedException {
        Files.createDirectories(files);
        assumeTrue(run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", files.toString()) == 0,
                "only root can mount a small disk");
        try {
            String m = refused(options(2, 1));
            assertTrue(m.startsWith("--offload: " + files.resolve("optimizer-")), m);
            assertTrue(m.contains(": cannot hold the optimizer's state: "), m);
            assertEquals(List.of(), files());
        } finally {
            assertEquals(0, run("umount", files.toString()));
        }
    }

    private String refused(TrainOptions o) {
        Path out = folder.resolve("out");
        Exception e = assertThrows(Exception.class, () -> Pretraining.start(o.complete(), out, new Runs.Log()));
        assertFalse(e.getMessage().contains("\n"), e.getMessage());
        assertFalse(Files.exists(out));
        return e.getMessage();
    }

    private static int run(String... command) throws InterruptedException {
        try {
            return new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(
                    ProcessBuilder.Redirect.DISCARD).start().waitFor();
        } catch (IOException _) {
            return -1; // there is no such command
        }
    }
}
