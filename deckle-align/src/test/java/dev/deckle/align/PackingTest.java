package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Examples end to end in one row teach what they teach side by side, and none sees another.
@Timeout(120)
class PackingTest {
    private static final Path CHECKPOINTS = Path.of("../deckle-app/src/test/resources/golden/hf");

    @TempDir
    private Path folder;

    static List<String> families() throws IOException {
        try (Stream<Path> all = Files.list(CHECKPOINTS)) {
            return all.filter(f -> Files.exists(f.resolve("model.safetensors"))).map(f -> f.getFileName().toString())
                    .sorted().toList();
        }
    }

    /// Unequal lengths, the longest neither first nor last; some learn from a part only.
    private static List<Sequence> sequences(CausalLm model, long seed) {
        Random random = new Random(seed);
        List<Sequence> all = new ArrayList<>();
        for (int[] sizes : new int[][] {{2, 3}, {1, 1}, {5, 8}, {0, 6}, {3, 1}}) {
            all.add(Sequence.of(random.ints(sizes[0], 0, model.vocabSize()).toArray(),
                    random.ints(sizes[1], 0, model.vocabSize()).toArray()));
        }
        return all;
    }

    private record Learned(double loss, Map<String, float[]> gradients) {}

    private static Learned learned(Path folder, boolean packed) throws IOException {
        try (CausalLm model = Models.openTrainable(folder); Workspace _ = Workspace.open()) {
            List<Sequence> sequences = sequences(model, 5);
            Padded batch = packed ? Padded.packed(sequences) : Padded.of(sequences);
            Tensor loss = Policy.of(model, batch, Pass.evaluate(), 1).logprobs().sum().neg();
            double value = loss.item() / batch.tokens();
            loss.backward(Tensor.full(DType.F32, 1.0 / batch.tokens()));
            Map<String, float[]> gradients = new LinkedHashMap<>();
            model.parameters().forEach((name, p) -> {
                if (p.leaf().isPresent() && !p.leaf().get().isEmpty()) { // an expert may be chosen by no token
                    gradients.put(name, p.grad().toFloats());
                }
            });
            return new Learned(value, gradients);
        }
    }

    /// Every family: windows, soft caps, stretched rotations, learned positions, experts, latent attention.
    @ParameterizedTest
    @MethodSource("families")
    void theSameIsLearned(String family) throws IOException {
        Learned apart = learned(CHECKPOINTS.resolve(family), false);
        Learned packed = learned(CHECKPOINTS.resolve(family), true);
        assertEquals(apart.loss, packed.loss, 1e-6 * (1 + apart.loss));
        assertFalse(apart.gradients.isEmpty());
        apart.gradients.forEach((name, g) -> {
            double largest = 0;
            for (float x : g) {
                largest = Math.max(largest, Math.abs(x));
            }
            // padding may reach an expert that no token chooses: its gradient is zero
            assertArrayEquals(g, packed.gradients.getOrDefault(name, new float[g.length]),
                    (float) (1e-6 * (1 + largest)), name);
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama-gqa", "gpt2", "mistral-window3", "deepseek-v3", "gemma2"})
    void noneSeesAnother(String family) throws IOException {
        try (CausalLm model = Models.open(CHECKPOINTS.resolve(family));
                NoGrad _ = NoGrad.open();
                Workspace _ = Workspace.open()) {
            List<Sequence> sequences = sequences(model, 7);
            List<float[]> before = logprobs(model, sequences);
            for (int changed = 0; changed < sequences.size(); changed++) {
                List<Sequence> others = new ArrayList<>(sequences);
                int[] ids = sequences.get(changed).ids().clone();
                for (int i = 0; i < ids.length; i++) {
                    ids[i] = (ids[i] + 1 + i) % model.vocabSize();
                }
                others.set(changed, new Sequence(ids, sequences.get(changed).counted()));
                List<float[]> after = logprobs(model, others);
                for (int i = 0; i < before.size(); i++) {
                    assertEquals(i != changed, Arrays.equals(before.get(i), after.get(i)), changed + " at " + i);
                }
            }
        }
    }

    private static List<float[]> logprobs(CausalLm model, List<Sequence> sequences) {
        Padded batch = Padded.packed(sequences);
        float[] all = Policy.of(model, batch, Pass.evaluate(), 1).logprobs().toFloats();
        List<float[]> each = new ArrayList<>();
        int from = 0;
        for (int n : batch.lengths()) {
            each.add(Arrays.copyOfRange(all, from, from + n));
            from += n;
        }
        return each;
    }

    /// Steps of a run, on ranks too.
    @Test
    void runs() throws IOException {
        Alignments runs = new Alignments(folder);
        AlignOptions apart = runs.options("sft");
        List<Double> expected = runs.train(apart, folder.resolve("apart")).losses();
        for (int ranks : new int[] {1, 3}) {
            AlignOptions o = runs.options("sft");
            o.packing = true;
            o.ranks = ranks;
            o.zero = ranks == 1 ? 0 : 3;
            List<Double> losses = runs.train(o, folder.resolve("packed" + ranks)).losses();
            for (int i = 0; i < expected.size(); i++) {
                assertEquals(expected.get(i), losses.get(i), 2e-5 * (1 + expected.get(i)), ranks + ", step " + i);
            }
        }
    }

    @Test
    void endToEnd() {
        Padded p = Padded.packed(List.of(Sequence.of(new int[] {5, 6}, new int[] {7, 8}),
                Sequence.of(new int[] {3}, new int[] {4}), Sequence.of(new int[] {9}, new int[0])));
        long i = Padded.IGNORED;
        assertEquals(Shape.of(1, 5), p.inputs().shape());
        assertArrayEquals(new long[] {5, 6, 7, 3, 9}, p.inputs().toLongs());
        assertArrayEquals(new long[] {i, 7, 8, 4, i}, p.targets().toLongs());
        assertArrayEquals(new float[] {0, 1, 1, 1, 0}, p.mask().toFloats());
        assertEquals(3, p.tokens());
        assertEquals(List.of(3, 1, 1), p.lengths());
        assertArrayEquals(new long[] {0, 1, 2, 0, 0}, Pass.evaluate().packed(p.lengths()).positions(5).orElseThrow()
                .toLongs());
    }

    @Test
    void whatDoesNotFit() throws IOException {
        Pass pass = Pass.evaluate().packed(List.of(2, 3));
        String few = assertThrows(IllegalArgumentException.class, () -> pass.positions(6)).getMessage();
        assertEquals("sequences of 5 tokens do not fill a row of 6", few);
        try (CausalLm model = Models.open(CHECKPOINTS.resolve("llama-gqa"))) {
            Tensor two = Tensor.of(new long[10], 2, 5);
            String rows = assertThrows(IllegalArgumentException.class, () -> model.forward(two, pass)).getMessage();
            assertTrue(rows.startsWith("attention of 2 sequences in a row of 5 takes one row and no mask"), rows);
            KvCache cache = model.cache(KvCache.Kind.CONTIGUOUS, 9, 1);
            assertThrows(IllegalArgumentException.class, () -> Pass.decode(cache).packed(List.of(2, 3)));
        }
    }
}
