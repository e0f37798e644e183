package dev.deckle.zero;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.distributed.ThreadRanks;
import dev.deckle.distributed.Timeline;
import dev.deckle.models.Adapted;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.nn.Lora;
import dev.deckle.nn.Pass;
import dev.deckle.optim.AdamW;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Adapters that ranks train: the model below is divided too, but has neither gradients nor moments.
@Timeout(120)
class AdapterStagesTest {
    private static final Path CHECKPOINTS = Path.of("../deckle-app/src/test/resources/golden/hf");

    private static Fleet.Job job(String name, Lora lora) {
        return new Fleet.Job(home -> {
            try {
                return Models.adapt(CHECKPOINTS.resolve(name), lora, 5, home).model();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }, 80, 12, 2, 5, 1, Lora::isBase);
    }

    @ParameterizedTest
    @CsvSource({"llama-gqa,0", "llama-gqa,1", "llama-gqa,2", "llama-gqa,3", "gpt2,0", "gpt2,3", "qwen3-moe,0",
        "qwen3-moe,3", "deepseek-v3,3"})
    void onlyTheAdapterChanges(String name, int stage) throws IOException {
        Fleet.Job job = job(name, new Lora(3, 12, 0, List.of(Lora.ALL_LINEAR)));
        Fleet.Outcome plain = Fleet.plain(job);
        Fleet.Outcome first = Fleet.plain(job.steps(0));
        Fleet.Outcome o = Fleet.train(job, new Fleet.Layout(2, stage));
        assertArrayEquals(plain.losses(), o.losses(), 2e-4);
        assertTrue(o.losses()[3] < o.losses()[0], Arrays.toString(o.losses())); // the same batches again
        long adapter = 0;
        long all = 0;
        int changed = 0;
        for (var e : o.weights().entrySet()) {
            boolean same = Arrays.equals(first.weights().get(e.getKey()), e.getValue());
            assertTrue(same || Lora.isAdapter(e.getKey()), e.getKey());
            adapter += Lora.isAdapter(e.getKey()) ? e.getValue().length : 0;
            all += e.getValue().length;
            changed += same ? 0 : 1;
        }
        assertTrue(changed * 10 > 9 * o.weights().keySet().stream().filter(Lora::isAdapter).count()); // rare experts
        assertTrue(o.state().keySet().stream().allMatch(n -> n.contains(".lora_")));
        long gaps = 64L * 2 * o.weights().size(); // between parameters, and at the end of a shard
        for (Partition.Memory m : o.memory()) {
            assertTrue(m.gradients() <= 4 * adapter / (stage > 1 ? 2 : 1) + gaps, m + " for " + adapter);
            assertTrue(m.optimizer() <= 8 * adapter / (stage > 0 ? 2 : 1) + 2 * gaps, m + " for " + adapter);
            assertTrue(m.parameters() >= 4 * all / (stage > 2 ? 2 : 1) - gaps, m + " for " + all);
            assertTrue(m.gradients() + m.optimizer() < 4 * all, m + " for " + all);
        }
    }

    @TempDir
    private Path temp;

    /// Divided, gathered, written by one, read by anyone; and the model below while the adapter is on.
    @Test
    void savedByRanks() throws IOException {
        Path base = CHECKPOINTS.resolve("qwen3");
        Lora lora = new Lora(3, 12, 0, List.of("q_proj", "up_proj"));
        Tensor ids = Tensor.of(new long[] {5, 3, 9, 20}, 1, 4);
        float[][] on = new float[2][];
        float[][] off = new float[2][];
        ThreadRanks.run(2, ranks -> {
            var options = new Partition.Options(Stage.PARAMETERS, DType.F32, Lora::isBase, Optional.empty());
            try (Partition partition = new Partition(ranks.rank(), 2, options);
                    Adapted adapted = Models.adapt(base, lora, 5, partition)) {
                partition.connect(ranks, Timeline.off());
                CausalLm model = adapted.model();
                try (var optimizer = partition.optimizer(new AdamW.Options(0.9, 0.99, 1e-8, 0))) {
                    for (int i = 0; i < 2; i++) {
                        partition.differentiate(() -> model.forward(ids, Pass.evaluate()).mul(0.1).abs().sum(),
                                Tensor.full(DType.F32, 1), true);
                        optimizer.step(0.05, 1);
                        partition.updated();
                    }
                }
                on[ranks.rank()] = partition.evaluate(() -> model.forward(ids, Pass.evaluate()).toFloats());
                off[ranks.rank()] = partition.evaluate(() -> Lora.off(() -> model.forward(ids, Pass.evaluate())
                        .toFloats()));
                try (Gathered whole = partition.gathered()) {
                    if (ranks.rank() == 0) {
                        adapted.save(temp, whole::of);
                    } else {
                        adapted.parameters().forEach(whole::of);
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        try (CausalLm model = Models.open(temp); CausalLm below = Models.open(base)) {
            assertFalse(Arrays.equals(on[0], off[0]));
            for (int rank = 0; rank < 2; rank++) {
                assertArrayEquals(model.forward(ids, Pass.evaluate()).toFloats(), on[rank], 1e-5f);
                assertArrayEquals(below.forward(ids, Pass.evaluate()).toFloats(), off[rank]);
            }
        }
    }
}
