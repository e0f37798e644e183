package dev.deckle.zero;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.models.Recomputation;
import dev.deckle.nn.Lora;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Layers that are computed again where their parameters and gradients are divided: the same bits, and nothing more is
/// gathered, sent or held than for layers that are remembered.
@Timeout(120)
class RecomputedStagesTest {
    private static final Path CHECKPOINTS = Path.of("../deckle-app/src/test/resources/golden/hf");

    /// A model that remembers the inputs of its layers alone.
    private record Forgetful(CausalLm model) implements CausalLm {
        @Override
        public Tensor hidden(Tensor ids, Pass pass) {
            return Recomputation.during(() -> model.hidden(ids, pass));
        }

        @Override
        public Tensor head(Tensor hidden) {
            return model.head(hidden);
        }

        @Override
        public State state() {
            return model.state();
        }
    }

    private static Fleet.Job forgetful(Fleet.Job job) {
        return new Fleet.Job(home -> new Forgetful(job.model().apply(home)), job.vocabulary(), job.rows(),
                job.accumulation(), job.steps(), job.clip(), job.frozen());
    }

    private static void assertSame(Fleet.Job job, Fleet.Layout layout) {
        Fleet.Outcome expected = Fleet.train(job, layout);
        Fleet.Outcome got = Fleet.train(forgetful(job), layout);
        assertArrayEquals(expected.losses(), got.losses());
        assertArrayEquals(expected.norms(), got.norms());
        assertSame(expected.weights(), got.weights());
        assertSame(expected.state(), got.state());
        assertEquals(expected.memory(), got.memory());
        assertEquals(expected.traffic(), got.traffic());
    }

    private static void assertSame(Map<String, float[]> expected, Map<String, float[]> got) {
        assertEquals(expected.keySet(), got.keySet());
        assertTrue(expected.size() > 1);
        expected.forEach((name, values) -> assertArrayEquals(values, got.get(name), name));
    }

    @ParameterizedTest
    @CsvSource({"0,F32", "1,F32", "2,F32", "3,F32", "3,BF16"})
    void everyStage(int stage, DType dtype) {
        assertSame(Fleet.llama(true, 3), new Fleet.Layout(3, stage, dtype, Optional.empty()));
        assertSame(Fleet.llama(false, 2), new Fleet.Layout(2, stage, dtype, Optional.empty()));
    }

    @ParameterizedTest
    @CsvSource({"gpt2,2", "gpt2,3", "qwen3-moe,3", "deepseek-v3,3", "gemma2,3"})
    void otherFamilies(String name, int stage) {
        assertSame(Fleet.folder(CHECKPOINTS.resolve(name)), new Fleet.Layout(2, stage));
    }

    @ParameterizedTest
    @CsvSource({"llama-gqa,3", "qwen3-moe,2"})
    void adapters(String name, int stage) {
        Lora lora = new Lora(3, 12, 0, List.of(Lora.ALL_LINEAR));
        assertSame(new Fleet.Job(home -> {
            try {
                return Models.adapt(CHECKPOINTS.resolve(name), lora, 5, home).model();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }, 80, 12, 2, 4, 1, Lora::isBase), new Fleet.Layout(2, stage));
    }
}
