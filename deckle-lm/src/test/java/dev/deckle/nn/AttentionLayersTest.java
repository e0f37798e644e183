package dev.deckle.nn;

import static dev.deckle.nn.Numbers.assertClose;
import static dev.deckle.nn.Numbers.assertGradients;
import static dev.deckle.nn.Numbers.assertRefused;
import static dev.deckle.nn.Numbers.leaf;
import static dev.deckle.nn.Numbers.mask;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.ModelMemory;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The layers around attention: projections, heads, cache, dropout.
class AttentionLayersTest {
    private static final int B = 2;
    private static final int T = 5;
    private static final int HIDDEN = 18;
    private static final int H = 6;
    private static final int G = 2;
    private static final int D = 3;

    private final ModelMemory memory = new ModelMemory();

    @AfterEach
    void free() {
        memory.close();
    }

    private Weights weights(DType dtype) {
        return Weights.init(memory, new Generator(3), dtype);
    }

    private static Tensor input(int b, int t) {
        return new Generator(4).randn(b, t, HIDDEN);
    }

    private static Tensor rows(Tensor x, int from, int to) {
        return x.slice(0, from, to);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 6})
    void gradientsOfEveryParameter(int kvHeads) {
        for (boolean fused : new boolean[] {false, true}) {
            var config = GroupedQueryAttention.Config.grouped(HIDDEN, H, kvHeads);
            Weights w = weights(DType.F64);
            var layer = new GroupedQueryAttention(w, fused ? config.withFusedQkv() : config);
            Tensor x = leaf(8, B, T, HIDDEN);
            Optional<Tensor> mask = Optional.of(mask(9, B, T));
            List<Tensor> leaves = new ArrayList<>(w.finish().values());
            leaves.add(x);
            assertGradients(() -> layer.forward(x, mask, Pass.evaluate()), leaves);
            assertClose(layer.forwardWithWeights(x, mask, Pass.evaluate()).output(),
                    layer.forward(x, mask, Pass.evaluate()), 1e-12);
        }
    }

    @Test
    void oneMatrixForAllEqualsThree() {
        var config = GroupedQueryAttention.Config.grouped(HIDDEN, H, G);
        Weights three = weights(DType.F32);
        var separate = new GroupedQueryAttention(three, config);
        Map<String, Tensor> p = three.finish();
        Map<String, Tensor> joined = new LinkedHashMap<>();
        for (String kind : List.of("weight", "bias")) {
            joined.put("qkv_proj." + kind, Functional.concat(
                    List.of(p.get("q_proj." + kind), p.get("k_proj." + kind), p.get("v_proj." + kind)), 0).detach());
            joined.put("o_proj." + kind, p.get("o_proj." + kind));
        }
        Weights one = Weights.load(memory, joined);
        var fused = new GroupedQueryAttention(one, config.withFusedQkv());
        one.finish();
        assertClose(separate.forward(input(B, T), Pass.evaluate()), fused.forward(input(B, T), Pass.evaluate()), 1e-6);
    }

    /// Key heads may change places if their query heads go with them, and the columns of `o_proj`.
    @Test
    void theOrderOfKeyHeadsDoesNotMatter() {
        var config = GroupedQueryAttention.Config.grouped(HIDDEN, H, G);
        Weights w = weights(DType.F32);
        var layer = new GroupedQueryAttention(w, config);
        Map<String, Tensor> swapped = new LinkedHashMap<>();
        w.finish().forEach((name, t) -> {
            int half = t.dim(0) / 2;
            Tensor x = name.equals("o_proj.weight") ? t.t() : t;
            Tensor moved = name.equals("o_proj.bias") ? t
                    : Functional.concat(List.of(rows(x, half, 2 * half), rows(x, 0, half)), 0);
            swapped.put(name, (name.equals("o_proj.weight") ? moved.t().contiguous() : moved).detach());
        });
        Weights other = Weights.load(memory, swapped);
        Tensor expected = layer.forward(input(B, T), Pass.evaluate());
        Tensor found = new GroupedQueryAttention(other, config).forward(input(B, T), Pass.evaluate());
        assertClose(expected, found, 1e-6);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 6})
    void withACacheAsWithout(int kvHeads) {
        var config = GroupedQueryAttention.Config.causal(HIDDEN, H, kvHeads, 4, true, 0); // H D != hidden
        var rope = new RotaryEmbedding(4, 100, new RopeScaling.None(), RotaryEmbedding.Layout.HALF);
        var layer = new GroupedQueryAttention(weights(DType.F32), config, 0, Init.normal(0.3), rope);
        Tensor x = input(B, 9);
        try (NoGrad _ = NoGrad.open(); KvCache cache = new ContiguousKvCache(9)) {
            Tensor whole = layer.forward(x, Pass.evaluate());
            int at = 0;
            for (int n : new int[] {4, 1, 3, 1}) {
                Tensor part = layer.forward(x.slice(1, at, at + n), Pass.decode(cache));
                assertClose(whole.slice(1, at, at + n), part, 1e-5);
                cache.advance(n);
                at += n;
            }
            assertThrows(IllegalStateException.class, () -> layer.forward(input(B, 1), Pass.decode(cache)));
        }
    }

    @Test
    void sizesThatDoNotFitAreRefused() {
        assertRefused("hidden_size 18 must be a multiple of heads 4",
                () -> GroupedQueryAttention.Config.multiHead(HIDDEN, 4));
        assertRefused("6 query heads cannot share 4", () -> GroupedQueryAttention.Config.grouped(HIDDEN, H, 4));
        assertRefused("heads", () -> GroupedQueryAttention.Config.grouped(HIDDEN, 0, 1));
        assertRefused("hidden_size 18 must be a multiple of heads 4",
                () -> new LatentQueryAttention(weights(DType.F32), HIDDEN, 4, 3, new Dropout(0)));
    }

    @Test
    void dropoutInTrainingOnly() {
        var noisy = GroupedQueryAttention.Config.causal(HIDDEN, H, G, D, true, 0.5);
        var layer = new GroupedQueryAttention(weights(DType.F32), noisy);
        assertDropout(layer.forward(input(B, T), Pass.evaluate()), layer.forward(input(B, T), Pass.evaluate()),
                layer.forward(input(B, T), Pass.train(new Generator(1))));
        var stage = new SelfAttention.Masked(weights(DType.F32), HIDDEN, new Dropout(0.5));
        assertDropout(stage.forward(input(B, T), Optional.empty(), Pass.evaluate()).output(),
                stage.forward(input(B, T), Optional.empty(), Pass.evaluate()).output(),
                stage.forward(input(B, T), Optional.empty(), Pass.train(new Generator(1))).output());
        var complete = new SelfAttention.Complete(weights(DType.F32), HIDDEN, new Dropout(0.5));
        assertDropout(complete.forward(input(B, T), Optional.empty(), Pass.evaluate()),
                complete.forwardWithWeights(input(B, T), Optional.empty(), Pass.evaluate()).output(),
                complete.forward(input(B, T), Optional.empty(), Pass.train(new Generator(1))));
        var latent = new LatentQueryAttention(weights(DType.F32), HIDDEN, H, 3, new Dropout(0.5));
        assertDropout(latent.forward(input(B, T), Optional.empty(), Pass.evaluate()),
                latent.forwardWithWeights(input(B, T), Optional.empty(), Pass.evaluate()).output(),
                latent.forward(input(B, T), Optional.empty(), Pass.train(new Generator(1))));
    }

    private static void assertDropout(Tensor quiet, Tensor again, Tensor training) {
        assertClose(quiet, again, 1e-6);
        assertFalse(Arrays.equals(quiet.toFloats(), training.toFloats()));
    }

    /// The four stages are one formula: from the same numbers, without mask and output projection, the same.
    @Test
    void theStagesAgree() {
        Weights w = weights(DType.F32);
        var first = new SelfAttention.Separate(w, HIDDEN);
        Map<String, Tensor> p = w.finish();
        Map<String, Tensor> fused = new LinkedHashMap<>();
        for (String kind : List.of("weight", "bias")) {
            fused.put("proj." + kind, Functional.concat(List.of(p.get("query_proj." + kind), p.get("key_proj." + kind),
                    p.get("value_proj." + kind)), 0).detach());
        }
        float[] identity = new float[HIDDEN * HIDDEN];
        for (int i = 0; i < HIDDEN; i++) {
            identity[i * HIDDEN + i] = 1;
        }
        Attended expected = first.forward(input(B, T));
        Attended second = new SelfAttention.Fused(Weights.load(memory, fused), HIDDEN).forward(input(B, T));
        fused.put("output_proj.weight", Tensor.of(identity, HIDDEN, HIDDEN));
        fused.put("output_proj.bias", Tensor.zeros(HIDDEN));
        Attended third = new SelfAttention.Masked(Weights.load(memory, fused), HIDDEN, new Dropout(0))
                .forward(input(B, T), Optional.of(Tensor.ones(B, T)), Pass.evaluate());
        Tensor fourth = new SelfAttention.Complete(Weights.load(memory, fused), HIDDEN, new Dropout(0))
                .forward(input(B, T), Optional.of(Tensor.ones(B, T, T)), Pass.evaluate());
        for (Attended a : List.of(second, third)) {
            assertClose(expected.output(), a.output(), 1e-6);
            assertClose(expected.weights(), a.weights(), 1e-6);
        }
        assertClose(expected.output(), fourth, 1e-6);
    }

    @Test
    void latentQueriesSummariseASet() {
        Weights w = weights(DType.F64);
        var layer = new LatentQueryAttention(w, HIDDEN, 3, 4, new Dropout(0));
        Tensor x = leaf(8, B, T, HIDDEN);
        Optional<Tensor> mask = Optional.of(Tensor.of(new float[] {1, 1, 1, 0, 0, 1, 0, 1, 1, 1}, B, T));
        List<Tensor> leaves = new ArrayList<>(w.finish().values());
        leaves.add(x);
        assertGradients(() -> layer.forward(x, mask, Pass.evaluate()), leaves);
        Attended a = layer.forwardWithWeights(x, mask, Pass.evaluate());
        assertEquals(Shape.of(B, 3, T, 4), a.weights().shape());
        assertClose(a.output(), layer.forward(x, mask, Pass.evaluate()), 1e-12);
        // the order of positions means nothing to it
        Tensor turned = Functional.concat(List.of(x.slice(1, 2, T), x.slice(1, 0, 2)), 1);
        Tensor y = layer.forward(x, Optional.empty(), Pass.evaluate());
        assertClose(Functional.concat(List.of(y.slice(1, 2, T), y.slice(1, 0, 2)), 1),
                layer.forward(turned, Optional.empty(), Pass.evaluate()), 1e-12);
        // what is hidden reaches no other position
        Tensor changed = x.where(mask.get().to(DType.BOOL).unsqueeze(2), Tensor.full(DType.F64, 50, 1));
        Tensor other = layer.forward(changed, mask, Pass.evaluate());
        assertClose(a.output().slice(0, 0, 1).slice(1, 0, 3), other.slice(0, 0, 1).slice(1, 0, 3), 1e-12);
    }
}
