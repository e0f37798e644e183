package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.gson.JsonObject;
import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.SoloCommunicator;
import dev.deckle.distributed.Timeline;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Llama;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Runs whose layers are computed again leave the same bits, and one goes on as the other.
@Timeout(120)
class RecomputedRunTest {
    @TempDir
    private Path folder;

    private static void assertSameBits(Path a, Path b) throws IOException {
        for (String file : List.of("model.safetensors", "checkpoints/step-0000012/optimizer.safetensors")) {
            assertArrayEquals(Files.readAllBytes(a.resolve(file)), Files.readAllBytes(b.resolve(file)), file);
        }
    }

    private static TrainOptions with(TrainOptions o, String dtype, boolean recompute) {
        o.dtype = dtype;
        o.grad_accum = 2;
        o.recompute = recompute;
        return o;
    }

    @ParameterizedTest
    @CsvSource({"1,0,f32", "2,3,f32", "2,2,bf16"})
    void theSameBits(int ranks, int zero, String dtype) throws IOException {
        Path text = Runs.corpus(folder);
        Path plain = folder.resolve("plain");
        Path again = folder.resolve("again");
        Path both = folder.resolve("both");
        Runs.Log expected = Runs.train(with(Runs.options(text, ranks, zero), dtype, false), plain);
        Runs.Log got = Runs.train(with(Runs.options(text, ranks, zero), dtype, true), again);
        assertEquals(expected.losses(), got.losses());
        assertSameBits(plain, again);
        Runs.Log begun = new Runs.Log();
        try (Run run = Pretraining.start(with(Runs.options(text, ranks, zero), dtype, false).complete(), both, begun)) {
            run.train(() -> begun.steps.size() >= 4);
        }
        Runs.resume(both, o -> with(o, dtype, true));
        assertSameBits(plain, both);
    }

    /// One step on a tiny model of three layers, and how many of them its loss has as a whole.
    private static final class Counted implements Task {
        private final CausalLm model;
        private long recomputed = -1;

        Counted(CausalLm model) {
            this.model = model;
        }

        @Override
        public void connect(Communicator ranks, Partition partition) {}

        @Override
        public List<MicroBatch> microBatches(long step) {
            return List.of(new MicroBatch(() -> {
                Tensor h = model.hidden(Tensor.of(new long[] {5, 3, 1, 4}, 2, 2), Pass.evaluate());
                recomputed = Stream.iterate(h, t -> t.creator().isPresent(), t -> t.creator().get().inputs().getFirst())
                        .filter(t -> t.creator().get() instanceof Op.Recomputed)
                        .count();
                return model.head(h).square().mean();
            }, 1));
        }

        @Override
        public Map<String, Number> metrics(long step, double seconds) {
            return Map.of();
        }

        @Override
        public long checksum() {
            return 1;
        }
    }

    /// Whatever a run learns, and however little its task knows of it.
    @Test
    void theLoopAsksForIt() throws IOException {
        for (boolean recompute : new boolean[] {false, true}) {
            var options = new Loop.Options(folder, 1, 0, (_, _) -> 1e-3, 1, new AdamW.Options(0.9, 0.95, 1e-8, 0.1),
                    0, 0, recompute, new JsonObject());
            Partition partition = new Partition(0, 1, new Partition.Options(Stage.REPLICATED, DType.F32));
            CausalLm model = Llama.create(Llama.Config.of(11, 12, 20, 3, 3, 1, 8, false), 0, 1, partition);
            Counted task = new Counted(model);
            try (Loop loop = new Loop(options, model, partition, task)) {
                loop.train(new SoloCommunicator(), Timeline.off(), Optional.empty(), new Runs.Log(), () -> false);
            }
            assertEquals(recompute ? 3 : 0, task.recomputed);
        }
    }

    @Test
    void theOptionsTellTheLoop() throws IOException {
        for (boolean recompute : new boolean[] {false, true}) {
            TrainOptions o = with(Runs.options(Runs.corpus(folder), 1, 0), "f32", recompute);
            assertEquals(recompute, o.loop(folder).recompute());
            assertEquals(recompute, TrainOptions.read(o.json()).recompute);
        }
    }
}
