package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// `deckle bench` on models so small that they measure nothing: what it tells, and what it refuses.
class BenchTest {
    private static final String SMALL = " --json --hidden-size 32 --heads 4 --layers 2 --context 9 --batch-size 3 "
            + "--vocab-size 11 --dtype ";

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int deckle(String args) {
        return Deckle.run(new PrintStream(out), new PrintStream(err), args.strip().split(" +"));
    }

    private List<JsonObject> rows() {
        return out.toString(StandardCharsets.UTF_8)
                .lines()
                .map(l -> JsonParser.parseString(l).getAsJsonObject())
                .toList();
    }

    @ParameterizedTest
    @ValueSource(strings = {"f32", "bf16"})
    void aStep(String dtype) {
        assertEquals(0, deckle("bench train" + SMALL + dtype), err::toString);
        JsonObject row = rows().getLast();
        // an embedding and a head of 11 x 32, and of each layer 4 x 32 x 32, 3 x 32 x 64 and 2 x 32, and a norm
        assertEquals(2 * 11 * 32 + 2 * (4 * 32 * 32 + 3 * 32 * 64 + 2 * 32) + 32, row.get("parameters").getAsInt());
        assertEquals(dtype, row.get("dtype").getAsString());
        assertTrue(row.get("tok_per_s").getAsDouble() > 0 && row.get("first_step_s").getAsDouble() > 0, row::toString);
    }

    @Test
    void whereAStepsTimeGoes() {
        assertEquals(0, deckle("bench train --profile" + SMALL + "f32"), err::toString);
        List<JsonObject> ops = rows().stream().filter(r -> r.has("op")).toList();
        Set<String> names = ops.stream().map(r -> r.get("op").getAsString()).collect(Collectors.toSet());
        assertTrue(names.containsAll(Set.of("linear 32->32", "linear 32->64", "linear 64->32", "linearcrossentropy",
                "attention", "rmsnorm", "rope", "swiglu", "embedding", "optimizer", "gradient norm")),
                names::toString);
        assertEquals(1, ops.stream().mapToDouble(r -> r.get("share").getAsDouble()).sum(), 1e-9);
        JsonObject products = ops.stream()
                .filter(r -> r.get("op").getAsString().equals("linear 32->32"))
                .findFirst()
                .orElseThrow();
        assertEquals(2 * 4, products.get("calls").getAsDouble());
        double seconds = (products.get("forward_ms").getAsDouble() + products.get("backward_ms").getAsDouble()) / 1e3;
        // 27 rows, there and twice back
        assertEquals(8 * 3 * 2.0 * 27 * 32 * 32, products.get("gflops").getAsDouble() * 1e9 * seconds, 1);
        assertTrue(products.get("backward_ms").getAsDouble() > 0);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            bench gemm --layers 3 | --hidden-size, --layers, --heads, --context and --vocab-size are for train
            bench train --hidden-size 30 --heads 4 | must be a multiple of twice the heads
            bench gemm --profile | --profile goes with train
            bench attention --dtype bf16 | --dtype bf16 is not for attention
            bench gemm --batch-size 3 | for gemm
            bench gemm --preset 1b | --preset 1b is for models
            """)
    void refused(String args, String told) {
        assertEquals(2, deckle(args));
        String line = err.toString(StandardCharsets.UTF_8).lines().findFirst().orElseThrow();
        assertTrue(line.contains(told), line);
    }
}
