package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Meddling;
import dev.deckle.distributed.RankFailure;
import dev.deckle.distributed.SoloCommunicator;
import dev.deckle.distributed.Timeline;
import dev.deckle.kernel.Native;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// A rank that fails: the others end too, one line names it, and the last checkpoint goes on.
@Timeout(60)
class FailureTest {
    @TempDir
    private Path folder;

    private Path text;

    @BeforeEach
    void corpus() throws IOException {
        text = Runs.corpus(folder);
    }

    /// At the n-th time that it calls the others: in a forward pass, in a backward pass, while a checkpoint is
    /// gathered.
    @ParameterizedTest
    @CsvSource({"2,1,1,0,90", "3,2,0,1,77", "3,3,2,2,190", "4,3,3,3,222", "3,0,1,4,60", "3,3,1,5,2"})
    void theOthersEndAndTheRunGoesOn(int ranks, int zero, int rank, int seed, int call) throws IOException {
        TrainOptions o = Runs.options(text, ranks, zero);
        o.seed = seed;
        o.save_every = 2;
        Path whole = folder.resolve("whole");
        Runs.Log expected = Runs.train(o, whole);

        Path out = folder.resolve("out");
        Runs.Log log = new Runs.Log();
        AtomicInteger calls = new AtomicInteger();
        var cause = new IndexOutOfBoundsException("token 99 of 98");
        Launch launch = Runs.meddling(ranks, c -> c.rank() != rank ? c : new Meddling(c, () -> {
            if (calls.incrementAndGet() == call) {
                throw cause;
            }
        }));
        try (Run run = Pretraining.start(o.complete(), out, log, launch)) {
            RankFailure e = assertThrows(RankFailure.class, () -> run.train(() -> false));
            assertEquals("rank " + rank + " ended: token 99 of 98", e.getMessage());
            assertEquals(rank, e.rank());
            assertSame(cause, e.getCause());
        }
        assertTrue(Thread.getAllStackTraces().keySet().stream().noneMatch(t -> t.getName().startsWith("deckle-rank-")));
        assertFalse(Files.exists(out.resolve("checkpoints/.making")));
        assertTrue(log.steps.size() < 12, "it failed before the end: " + calls);
        if (log.steps.size() < 2) {
            assertTrue(assertThrows(IOException.class, () -> Runs.resume(out, x -> x)).getMessage()
                    .contains("holds no checkpoint to resume from"));
            return;
        }
        Runs.Log rest = Runs.resume(out, x -> x);
        assertTrue(rest.steps.firstKey() > log.steps.size() - 3, "no more than the steps since the last checkpoint");
        rest.steps.forEach((i, s) -> assertEquals(expected.steps.get(i).loss(), s.loss()));
        assertEquals(12, rest.steps.lastKey());
        assertArrayEquals(Files.readAllBytes(whole.resolve("model.safetensors")),
                Files.readAllBytes(out.resolve("model.safetensors")));
    }

    /// What all ranks see alike is told as one rank tells it.
    @Test
    void aRunThatDivergesSaysSoOnce() throws IOException {
        TrainOptions o = Runs.options(text, 3, 3);
        o.lr = 9;
        o.grad_clip = 0;
        o.warmup_steps = 0;
        o.steps = 400;
        o.adam_eps = 1e-30;
        o.weight_decay = 9;
        try (Run run = Pretraining.start(o.complete(), folder.resolve("out"), new Runs.Log())) {
            String m = assertThrows(IllegalStateException.class, () -> run.train(() -> false)).getMessage();
            assertTrue(m.matches("step \\d+: loss \\S+, gradient norm \\S+; the first that is not finite is .*"), m);
        }
    }

    /// A weight that one rank alone has spoilt.
    @Test
    void aWeightThatIsNotFiniteIsNamed() throws IOException {
        try (Run run = Pretraining.start(Runs.options(text, 3, 2).complete(), folder.resolve("out"),
                new Runs.Log())) {
            Native.setFloat(run.model().parameters().get("model.layers.1.mlp.up_proj.weight").address(), Float.NaN);
            String m = assertThrows(IllegalStateException.class, () -> run.train(() -> false)).getMessage();
            assertTrue(m.contains("the first that is not finite is weight model.layers.1.mlp.up_proj.weight."), m);
        }
    }

    /// What the system says of a file is told as it is, not as a bare path.
    @Test
    void aFolderThatIsGone() throws IOException {
        Path out = folder.resolve("out");
        try (Run run = Pretraining.start(Runs.options(text, 2, 1).complete(), out, new Runs.Log())) {
            try (Stream<Path> all = Files.walk(out)) {
                for (Path p : all.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(p);
                }
            }
            var e = assertThrows(NoSuchFileException.class, () -> run.train(() -> false));
            assertEquals(out.resolve("metrics.jsonl").toString(), e.getFile());
        }
    }

    /// A rank that is a process: before its memory is given back, while that may still be on its way to others.
    @Test
    void aProcessThatFailsTellsTheOthersAtOnce() throws IOException {
        List<String> told = new ArrayList<>();
        Communicator world = new Meddling(new SoloCommunicator(), () -> {
            throw new IndexOutOfBoundsException("token 99 of 98");
        }) {
            @Override
            public void abort(String why) {
                told.add(why);
            }
        };
        Launch launch = Launch.process(world, Timeline.off(), e -> "told: " + e.getMessage());
        assertThrows(IndexOutOfBoundsException.class,
                () -> launch.run(false, (ranks, _) -> ranks.allGather(new byte[0])));
        assertEquals(List.of("told: token 99 of 98"), told);
    }

    /// The first rank cannot write a checkpoint: the others wait for it to gather one.
    @Test
    void aCheckpointThatCannotBeWritten() throws IOException {
        TrainOptions o = Runs.options(text, 3, 3);
        Path out = folder.resolve("out");
        Runs.Log log = new Runs.Log();
        try (Run run = Pretraining.start(o.complete(), out, log)) {
            Files.writeString(out.resolve("checkpoints"), "a file where the folder should be");
            IOException e = assertThrows(IOException.class, () -> run.train(() -> false));
            assertTrue(e.getMessage().contains(out.resolve("checkpoints").toString()), e.getMessage());
        }
        assertEquals(List.of(1L, 2L, 3L, 4L, 5L), List.copyOf(log.steps.keySet()));
    }

    @Test
    void aTraceThatCannotBeWrittenIsRefusedBeforehand() throws IOException {
        Path file = Files.createDirectory(folder.resolve("folder"));
        for (Path bad : List.of(folder.resolve("nowhere/trace.json"), file, text.resolve("doc1.txt/trace.json"))) {
            TrainOptions o = Runs.options(text, 2, 1);
            o.trace = bad.toString();
            Path out = folder.resolve("out");
            String m = assertThrows(IOException.class, () -> Pretraining.start(o.complete(), out, new Runs.Log()))
                    .getMessage();
            assertTrue(m.startsWith("--trace " + bad + ": cannot be written: "), m);
            assertFalse(Files.exists(out));
        }
    }
}
