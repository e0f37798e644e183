package dev.deckle.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.ModelMemory;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The adapter of one layer against its formula in plain loops.
class LoraTest {
    private static final int IN = 7;
    private static final int OUT = 5;
    private static final int RANK = 3;
    private static final int ROWS = 4;

    /// A layer with an adapter whose B is not zero, its parameters and an input.
    private record Layer(Linear linear, Map<String, Tensor> p, Tensor x) {
        static Layer of(ModelMemory memory, Lora lora, boolean transposed) {
            Weights w = Weights.init(memory, new Generator(3), DType.F64).withAdapters(lora);
            Weights scope = w.scope("mlp").scope("c_fc");
            Linear linear = transposed
                    ? Linear.transposed(scope, IN, OUT, Init.normal(1))
                    : new Linear(scope, IN, OUT, true);
            Map<String, Tensor> p = w.finish();
            Tensor b = p.get("mlp.c_fc.lora_B.weight");
            assertTrue(Arrays.stream(b.detach().toDoubles()).allMatch(v -> v == 0), "a new adapter changes nothing");
            Tensor drawn = Tensor.empty(DType.F32, b.shape());
            new Generator(4).normal(drawn, 0, 1);
            drawn.to(DType.F64).copyInto(b.detach());
            Tensor x = Tensor.empty(DType.F32, Shape.of(2, ROWS / 2, IN));
            new Generator(5).normal(x, 0, 1);
            return new Layer(linear, p, x.to(DType.F64));
        }

        double[] numbers(String name) {
            return p.get("mlp.c_fc." + name).detach().toDoubles();
        }

        /// @param seen what the adapter sees of x
        double[] formula(double scale, double[] seen, boolean transposed) {
            double[] w = numbers("weight");
            double[] bias = numbers("bias");
            double[] a = numbers("lora_A.weight");
            double[] b = numbers("lora_B.weight");
            double[] in = x.toDoubles();
            double[] y = new double[ROWS * OUT];
            for (int n = 0; n < ROWS; n++) {
                for (int o = 0; o < OUT; o++) {
                    double sum = bias[o];
                    for (int i = 0; i < IN; i++) {
                        sum += in[n * IN + i] * w[transposed ? i * OUT + o : o * IN + i];
                    }
                    for (int r = 0; r < RANK; r++) {
                        double narrow = 0;
                        for (int i = 0; i < IN; i++) {
                            narrow += seen[n * IN + i] * a[r * IN + i];
                        }
                        sum += scale * narrow * b[o * RANK + r];
                    }
                    y[n * OUT + o] = sum;
                }
            }
            return y;
        }
    }

    @ParameterizedTest
    @CsvSource({"false,false", "true,false", "false,true", "true,true"})
    void theFormula(boolean transposed, boolean stabilised) {
        Lora lora = new Lora(RANK, 8, 0, List.of("c_fc"), stabilised);
        double scale = stabilised ? 8 / Math.sqrt(3) : 8.0 / 3;
        assertEquals(scale, lora.scale(), 1e-15);
        try (ModelMemory memory = new ModelMemory()) {
            Layer l = Layer.of(memory, lora, transposed);
            assertArrayEquals(l.formula(scale, l.x.toDoubles(), transposed), l.linear.forward(l.x).toDoubles(), 1e-12);
            double[] merged = l.x.reshape(ROWS, IN).matmul(l.linear.weight().t())
                    .add(l.p.get("mlp.c_fc.bias")).toDoubles();
            assertArrayEquals(l.formula(scale, l.x.toDoubles(), transposed), merged, 1e-12);
        }
    }

    /// A is drawn as PyTorch draws a linear layer's weight: uniform within 1 / sqrt(in).
    @Test
    void aIsUniform() {
        try (ModelMemory memory = new ModelMemory()) {
            Weights w = Weights.init(memory, new Generator(3)).withAdapters(new Lora(40, 1, 0, List.of("q")));
            new Linear(w.scope("q"), 100, 9, false);
            double[] a = w.finish().get("q.lora_A.weight").detach().toDoubles();
            double most = Arrays.stream(a).map(Math::abs).max().orElseThrow();
            assertTrue(most <= 0.1 && most > 0.0995, "largest " + most);
            assertEquals(0, Arrays.stream(a).average().orElseThrow(), 0.004);
        }
    }

    @Test
    void dropoutIsOfTheAdaptersInputOnly() {
        Lora lora = new Lora(RANK, 6, 0.4, List.of("c_fc"));
        try (ModelMemory memory = new ModelMemory()) {
            Layer l = Layer.of(memory, lora, false);
            double[] y = Lora.during(Pass.train(new Generator(11)), () -> l.linear.forward(l.x).toDoubles());
            double[] seen = new Dropout(0.4).forward(l.x, Pass.train(new Generator(11))).toDoubles();
            assertTrue(Arrays.stream(seen).anyMatch(v -> v == 0));
            assertArrayEquals(l.formula(2, seen, false), y, 1e-12);
            double[] whole = l.formula(2, l.x.toDoubles(), false);
            assertArrayEquals(whole, l.linear.forward(l.x).toDoubles(), 1e-12);
            assertArrayEquals(whole, Lora.during(Pass.evaluate(), () -> l.linear.forward(l.x).toDoubles()), 1e-12);
        }
    }

    @Test
    void offIsTheLayerBelowForThisThreadAndScope() {
        try (ModelMemory memory = new ModelMemory()) {
            Layer l = Layer.of(memory, new Lora(RANK, 6, 0, List.of("c_fc")), false);
            double[] on = l.linear.forward(l.x).toDoubles();
            double[] off = new Linear(l.p.get("mlp.c_fc.weight")).forward(l.x).add(l.p.get("mlp.c_fc.bias"))
                    .toDoubles();
            Lora.off(() -> {
                assertArrayEquals(off, l.linear.forward(l.x).toDoubles());
                assertThrows(IllegalStateException.class, () -> Lora.off(() -> {
                    throw new IllegalStateException();
                }));
                Lora.off(() -> 0);
                assertArrayEquals(off, l.linear.forward(l.x).toDoubles(), "the end of an inner scope is not the outer");
                assertEquals(l.p.get("mlp.c_fc.weight").address(), l.linear.weight().address());
                assertFalse(CompletableFuture.supplyAsync(Lora::isOff).join());
                return 0;
            });
            assertFalse(Lora.isOff());
            assertArrayEquals(on, l.linear.forward(l.x).toDoubles());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "q_proj,model.layers.0.self_attn.q_proj,true", "q_proj,model.layers.0.self_attn.xq_proj,false",
        "q_proj,q_proj,true", "proj,model.layers.0.self_attn.q_proj,false",
        "mlp.c_proj,transformer.h.0.mlp.c_proj,true",
        "mlp.c_proj,transformer.h.0.attn.c_proj,false", "all-linear,model.layers.0.mlp.experts.3.up_proj,true",
        "all-linear,lm_head,false", "lm_head,lm_head,true", "all-linear,score,false",
        "model.layers.1.mlp.up_proj,model.layers.11.mlp.up_proj,false"
    })
    void whichLayers(String target, String path, boolean has) {
        assertEquals(has, new Lora(1, 1, 0, List.of("other", target)).targets(path));
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, -1, Double.NaN, Double.POSITIVE_INFINITY})
    void whatIsNoAdapter(double bad) {
        assertThrows(IllegalArgumentException.class, () -> new Lora(2, bad, 0, List.of("a")));
        assertThrows(IllegalArgumentException.class, () -> new Lora(2, 1, bad == 0 ? 1 : bad, List.of("a")));
        assertThrows(IllegalArgumentException.class, () -> new Lora((int) Math.min(0, bad), 1, 0, List.of("a")));
        assertThrows(IllegalArgumentException.class, () -> new Lora(2, 1, 0, bad == 0 ? List.of() : List.of(" ")));
    }
}
