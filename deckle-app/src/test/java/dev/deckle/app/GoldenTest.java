package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.generate.BeamSearch;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.Scorer;
import dev.deckle.generate.TextGenerator;
import dev.deckle.io.Safetensors;
import dev.deckle.kernel.Door;
import dev.deckle.memory.ModelMemory;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Against what PyTorch and transformers computed (`resources/golden`), on every backend of this machine.
class GoldenTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden");

    private static List<String> backends() {
        return Door.current().backends().stream()
                .filter(b -> b.kernels().isPresent())
                .map(Door.Backend::name)
                .toList();
    }

    private static Stream<DynamicTest> onEveryBackend(String folder, Consumer<Path> check)
            throws IOException {
        List<Path> files;
        try (Stream<Path> all = Files.list(GOLDEN.resolve(folder))) {
            files = all.sorted().toList();
        }
        assertTrue(!files.isEmpty());
        return files.stream().flatMap(file -> backends().stream().map(backend -> DynamicTest.dynamicTest(
                file.getFileName() + " on " + backend, () -> Door.only(backend).during(() -> {
                    check.accept(file);
                    return backend;
                }))));
    }

    @TestFactory
    Stream<DynamicTest> components() throws IOException {
        return onEveryBackend("components", GoldenTest::component);
    }

    private static void component(Path file) {
        try (ModelMemory memory = new ModelMemory()) {
            Safetensors golden = Safetensors.open(file, memory);
            Map<String, Tensor> t = golden.tensors();
            JsonObject config = JsonParser.parseString(golden.metadata().get("config")).getAsJsonObject();
            String component = golden.metadata().get("component");
            if (component.equals("adamw")) {
                adamW(t, config);
                return;
            }
            Map<String, Tensor> in = new LinkedHashMap<>();
            t.forEach((name, x) -> {
                if (name.startsWith("input.") || name.startsWith("param.")) {
                    in.put(name.substring(6), x.dtype() == DType.F32 ? x.detach().requireGrad() : x);
                }
            });
            Map<String, Tensor> out = compute(component, config, in);
            Tensor sum = Tensor.scalar(0);
            for (var e : out.entrySet()) {
                close("output " + e.getKey(), t.get("output." + e.getKey()), e.getValue(), 1);
                sum = sum.add(e.getValue().mul(t.get("cotangent." + e.getKey())).sum());
            }
            sum.backward();
            int gradients = 0;
            for (String name : t.keySet()) {
                if (name.startsWith("grad.")) {
                    close(name, t.get(name), in.get(name.substring(11)).grad(), 10);
                    gradients++;
                }
            }
            assertTrue(gradients > 0, "no gradient is compared");
        }
    }

    private static Map<String, Tensor> compute(String component, JsonObject config, Map<String, Tensor> in) {
        Tensor x = in.get("x");
        return switch (component) {
            case "gelu" -> Map.of("y", x.gelu());
            case "gelu_tanh" -> Map.of("y", x.geluTanh());
            case "relu" -> Map.of("y", x.relu());
            case "sigmoid" -> Map.of("y", x.sigmoid());
            case "swish" -> Map.of("y", x.silu());
            case "tanh" -> Map.of("y", x.tanh());
            case "softmax" -> Map.of("y", x.softmax(config.get("dim").getAsInt()));
            case "log_softmax" -> Map.of("y", x.logSoftmax(config.get("dim").getAsInt()));
            case "rms_norm" -> Map.of("y", Functional.rmsNorm(x, in.get("gamma"), config.get("eps").getAsDouble()));
            case "layer_norm" -> Map.of("y",
                    Functional.layerNorm(x, in.get("gamma"), in.get("beta"), config.get("eps").getAsDouble()));
            case "cross_entropy" -> {
                Tensor rows = Functional.crossEntropy(in.get("logits"), in.get("target"),
                        config.get("ignore_index").getAsLong());
                long ignored = config.get("ignore_index").getAsLong();
                long counted = IntStream.range(0, 8).filter(i -> in.get("target").toLongs()[i] != ignored).count();
                yield Map.of("y", switch (config.get("reduction").getAsString()) {
                    case "none" -> rows;
                    case "sum" -> rows.sum();
                    default -> rows.sum().div(counted);
                });
            }
            case "rope" -> rope(config, in);
            case "scaled_dot_product_attention" -> Map.of("y", attention(config, in));
            default -> throw new IllegalArgumentException("no such component here: " + component);
        };
    }

    private static Map<String, Tensor> rope(JsonObject config, Map<String, Tensor> in) {
        int half = config.get("dim").getAsInt() / 2;
        long[] positions = in.get("position_ids").toLongs();
        float[] cos = new float[positions.length * half];
        float[] sin = new float[cos.length];
        for (int i = 0; i < cos.length; i++) {
            double angle =
                    positions[i / half] * Math.pow(config.get("base").getAsDouble(), -(double) (i % half) / half);
            cos[i] = (float) Math.cos(angle);
            sin[i] = (float) Math.sin(angle);
        }
        Tensor c = Tensor.of(cos, positions.length, half);
        Tensor s = Tensor.of(sin, positions.length, half);
        boolean interleaved = config.get("layout").getAsString().equals("interleaved");
        return Map.of("q", Functional.rope(in.get("q"), c, s, interleaved),
                "k", Functional.rope(in.get("k"), c, s, interleaved));
    }

    private static Tensor attention(JsonObject config, Map<String, Tensor> in) {
        Optional<Tensor> mask = Optional.ofNullable(in.get("bias")).or(() -> Optional.ofNullable(in.get("mask")).map(
                m -> Tensor.zeros(1).where(m.to(DType.BOOL), Tensor.full(DType.F32, Double.NEGATIVE_INFINITY, 1))));
        return Functional.attention(in.get("q"), in.get("k"), in.get("v"), mask,
                !config.get("causal").isJsonNull(), config.get("scale").getAsDouble());
    }

    private static void adamW(Map<String, Tensor> t, JsonObject config) {
        Tensor w = t.get("param.w").keep().requireGrad();
        double clip = config.has("clip_grad_norm") ? config.get("clip_grad_norm").getAsDouble() : 0;
        try (AdamW optimizer = new AdamW(Map.of("w", w), new AdamW.Options(config.get("beta1").getAsDouble(),
                config.get("beta2").getAsDouble(), config.get("eps").getAsDouble(),
                config.get("weight_decay").getAsDouble()))) {
            for (int i = 0; t.containsKey("input.grad" + i); i++) {
                w.mul(t.get("input.grad" + i)).sum().backward();
                double norm = optimizer.gradNorm();
                if (clip > 0) {
                    assertEquals(t.get("output.norm" + i).item(), norm, 1e-5 * norm);
                }
                optimizer.step(config.get("lr").getAsDouble(), AdamW.clip(norm, clip));
                close("step " + i, t.get("output.step" + i), w, 1);
            }
        }
    }

    private static void close(String what, Tensor expected, Tensor actual, double slack) {
        assertEquals(expected.shape(), actual.shape(), what);
        double[] e = expected.toDoubles();
        double[] a = actual.toDoubles();
        for (int i = 0; i < e.length; i++) {
            assertEquals(e[i], a[i], slack * (1e-5 + 1e-4 * Math.abs(e[i])), what + " at " + i);
        }
    }

    @TestFactory
    Stream<DynamicTest> checkpoints() throws IOException {
        return onEveryBackend("hf", GoldenTest::checkpoint);
    }

    private static void checkpoint(Path folder) {
        try (CausalLm model = Models.open(folder)) {
            JsonObject golden =
                    JsonParser.parseString(Files.readString(folder.resolve("golden.json"))).getAsJsonObject();
            Scorer.Score s = Scorer.score(model, ids(golden.getAsJsonArray("input_ids")));
            assertArrayEquals(doubles(golden.getAsJsonArray("next_logprobs")), s.logprobs(), 2e-5);
            double[] logits = doubles(golden.getAsJsonArray("last_logits"));
            for (int i = 0; i < logits.length; i++) {
                assertEquals(logits[i], s.lastLogits()[i], 2e-5);
            }
            int[] greedy = ids(golden.getAsJsonArray("greedy"));
            int[] prompt = ids(golden.getAsJsonArray("prompt"));
            int[] beam4 = ids(golden.getAsJsonArray("beam4"));
            for (KvCache.Kind kind : KvCache.Kind.values()) {
                var generator = new TextGenerator(model, Sampler.greedy(), Set.of(2), kind);
                assertArrayEquals(greedy, generator.generate(prompt, greedy.length - prompt.length, new Generator(1),
                        _ -> true), kind + "");
                var best = generator.beams(prompt, 24, new BeamSearch(4, 1, BeamSearch.EarlyStopping.FALSE), _ -> {})
                        .getFirst();
                assertArrayEquals(beam4, best.ids(), kind + "");
                assertEquals(golden.get("beam4_score").getAsDouble(), best.score(), 2e-5, kind + "");
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @TestFactory
    Stream<DynamicTest> beamSearch() throws IOException {
        JsonArray cases = JsonParser.parseString(Files.readString(GOLDEN.resolve("beams/beam-search.json")))
                .getAsJsonArray();
        assertTrue(!cases.isEmpty());
        return IntStream.range(0, cases.size()).mapToObj(i -> DynamicTest.dynamicTest(cases.get(i).toString(),
                () -> beamSearch(cases.get(i).getAsJsonObject(), KvCache.Kind.values()[i % 2])));
    }

    private static void beamSearch(JsonObject golden, KvCache.Kind kind) throws IOException {
        int[] prompt = ids(golden.getAsJsonArray("prompt"));
        Set<Integer> ends =
                IntStream.of(ids(golden.getAsJsonArray("eos_token_id"))).boxed().collect(Collectors.toSet());
        var search = new BeamSearch(golden.get("num_beams").getAsInt(), golden.get("length_penalty").getAsDouble(),
                BeamSearch.EarlyStopping.valueOf(golden.get("early_stopping").getAsString().toUpperCase(Locale.ROOT)));
        try (CausalLm model = Models.open(GOLDEN.resolve("hf").resolve(golden.get("model").getAsString()))) {
            List<BeamSearch.Hypothesis> found = new TextGenerator(model, Sampler.greedy(), ends, kind)
                    .beams(prompt, golden.get("max_new_tokens").getAsInt(), search, _ -> {});
            JsonArray expected = golden.getAsJsonArray("new_ids");
            assertEquals(expected.size(), found.size());
            for (int i = 0; i < found.size(); i++) {
                int[] ids = found.get(i).ids();
                assertArrayEquals(ids(expected.get(i).getAsJsonArray()),
                        Arrays.copyOfRange(ids, prompt.length, ids.length), "beam " + i);
                double score = golden.getAsJsonArray("scores").get(i).getAsDouble();
                assertEquals(score, found.get(i).score(), 2e-5 + 1e-6 * Math.abs(score)); // a penalty of -1 multiplies
            }
        }
    }

    private static int[] ids(JsonArray a) {
        List<Integer> ids = new ArrayList<>();
        a.forEach(e -> ids.add(e.getAsInt()));
        return ids.stream().mapToInt(i -> i).toArray();
    }

    private static double[] doubles(JsonArray a) {
        return IntStream.range(0, a.size()).mapToDouble(i -> a.get(i).getAsDouble()).toArray();
    }
}
