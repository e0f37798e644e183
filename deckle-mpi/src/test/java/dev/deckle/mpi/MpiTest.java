package dev.deckle.mpi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The checks of `CollectiveChecks` in `deckle-lm`, by processes that `mpirun` starts, beside threads that run the
/// same.
@Timeout(300)
class MpiTest {
    private static final String CHECKS = "dev.deckle.distributed.CollectiveChecks";

    private record Run(int code, List<String> lines) {
        /// What the ranks say, in no order.
        List<String> ranks() {
            return lines.stream().filter(line -> line.startsWith("rank ")).sorted().toList();
        }

        boolean says(String text) {
            return lines.stream().anyMatch(line -> line.contains(text));
        }
    }

    private static Run mpirun(int ranks, String... checks) {
        assumeTrue(Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, "mpirun"))),
                "mpirun is not on the path: install Open MPI (apt install openmpi-bin)");
        List<String> command = new ArrayList<>(List.of("mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to",
                "none", "-n", "" + ranks));
        command.addAll(java("mpi"));
        return run(command, checks);
    }

    private static List<String> java(String... arguments) {
        Path root = Path.of("").toAbsolutePath().getParent();
        String path = Stream.of("deckle-tensor/target/classes", "deckle-lm/target/classes",
                "deckle-lm/target/test-classes", "deckle-mpi/target/classes")
                .map(root::resolve)
                .peek(folder -> assertTrue(Files.isDirectory(folder),
                        folder + " is not there: build the modules above"))
                .map(Path::toString)
                .collect(Collectors.joining(File.pathSeparator));
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java")
                .toString(), "-Xmx512m", "-XX:+UseSerialGC", "-Ddeckle.threads=1",
                "--enable-native-access=ALL-UNNAMED", "-cp", path, CHECKS));
        command.addAll(List.of(arguments));
        return command;
    }

    private static Run run(List<String> command, String... more) {
        List<String> all = new ArrayList<>(command);
        all.addAll(List.of(more));
        try {
            Process p = new ProcessBuilder(all).redirectErrorStream(true).start();
            try {
                p.getOutputStream().close();
                String said = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                return new Run(p.waitFor(), said.lines().toList());
            } finally {
                p.destroy();
            }
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 7})
    void processesGiveTheBitsOfThreads(int ranks) {
        List<String> checks = new ArrayList<>(List.of("verbs", "inFlight", "delays"));
        if (ranks > 1) {
            checks.add("counts"); // one alone sends nothing
        }
        if (ranks < 4) {
            checks.add("large");
        }
        Run processes = mpirun(ranks, checks.toArray(String[]::new));
        assertEquals(0, processes.code, () -> String.join("\n", processes.lines));
        Run threads = run(java("threads", "" + ranks), checks.toArray(String[]::new));
        assertEquals(threads.ranks(), processes.ranks());
        assertEquals(ranks * checks.size(), processes.ranks().size());
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void theOthersHearWhichRankFailed(int ranks) {
        Run r = mpirun(ranks, "failing=1");
        List<String> expected = new ArrayList<>(List.of("rank 0 fails: rank 1 ended: the tape tore",
                "rank 1 fails: the tape tore"));
        if (ranks == 3) {
            expected.add("rank 2 fails: rank 1 ended: the tape tore");
        }
        assertEquals(expected, r.ranks(), () -> String.join("\n", r.lines));
        assertEquals(1, r.code);
    }

    /// They sleep for two minutes, and this test would run out of time.
    @Test
    @Timeout(60)
    void whoDoesNotListenIsEnded() {
        Run r = mpirun(3, "late=2");
        assertEquals(List.of("rank 2 fails: the tape tore"), r.ranks(), () -> String.join("\n", r.lines));
        assertNotEquals(0, r.code);
    }

    @Test
    void aRankThatEndsEarlyIsNamed() {
        Run r = mpirun(3, "early=2");
        String why = " fails: rank 2 ended: it closed its communicator, and other ranks went on";
        assertEquals(List.of("rank 0" + why, "rank 1" + why, "rank 2 of 3, early=2: goes on"), r.ranks(),
                () -> String.join("\n", r.lines));
        assertNotEquals(0, r.code);
    }

    @Test
    void lengthsThatDifferAreAnErrorOfMpi() {
        Run r = mpirun(2, "lengths");
        assertTrue(r.says("rank 0 fails: communication failed: MPI_ERR_TRUNCATE: message truncated"),
                () -> String.join("\n", r.lines));
        assertTrue(r.says("rank 1 fails: rank 0 ended: communication failed: MPI_ERR_TRUNCATE"),
                () -> String.join("\n", r.lines));
        assertEquals(1, r.code);
    }

    @Test
    @Timeout(60)
    void aKilledRankIsNamedByMpirun() {
        Run r = mpirun(3, "killed=2");
        assertTrue(r.says("process rank 2 with PID") && r.says("exited on signal 9"), () -> String.join("\n", r.lines));
        assertEquals(List.of(), r.ranks());
        assertEquals(137, r.code);
    }

    // ---- without MPI

    @Test
    void aMachineWithoutMpiIsToldWhatToInstall() {
        var e = assertThrows(IllegalStateException.class,
                () -> LibMpi.open(List.of("libnone.so.1", "/none/libmpi.so")));
        assertEquals("libmpi is not found: install Open MPI (apt install openmpi-bin; brew install open-mpi)",
                e.getMessage());
    }

    @Test
    void anotherMpiIsNotMistakenForOpenMpi() {
        Path library = Path.of(System.getProperty("java.home"), "lib", System.mapLibraryName("zip"));
        var e = assertThrows(IllegalStateException.class, () -> LibMpi.open(List.of("libnone.so.1", library
                .toString())));
        assertTrue(e.getMessage().startsWith("the libmpi found here is not Open MPI's, and only that is supported"),
                e.getMessage());
    }

    @Test
    void looksBesideMpirunToo(@TempDir Path folder) throws IOException {
        Path bin = Files.createDirectories(folder.resolve("opt/openmpi/bin"));
        Path mpirun = Files.createFile(bin.resolve("mpirun"));
        assumeTrue(mpirun.toFile().setExecutable(true));
        Path path = Files.createDirectory(folder.resolve("bin"));
        Files.createSymbolicLink(path.resolve("mpirun"), mpirun);
        List<String> names = LibMpi.candidates(folder + File.pathSeparator + path);
        assertEquals("libmpi.so.40", names.getFirst());
        assertEquals(folder.toRealPath().resolve("opt/openmpi/lib/libmpi.so.40").toString(), names.get(3));
        assertEquals(6, names.size());
        assertEquals(3, LibMpi.candidates(null).size());
    }

    @Test
    void aProcessOfItsOwnIsRankZeroOfOne() {
        assertFalse(Mpi.launched());
        assertEquals(0, Mpi.rank());
        assertEquals(1, Mpi.size());
        assertEquals(1, Mpi.localSize());
    }
}
