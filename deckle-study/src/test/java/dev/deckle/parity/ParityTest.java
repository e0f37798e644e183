package dev.deckle.parity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// What a golden case says when something is wrong with it, or with what it tries.
class ParityTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden/components");

    @TempDir
    private Path folder;

    static List<Path> golden() {
        return Parity.files(GOLDEN);
    }

    private static Verdict verdict(Path file) {
        List<Verdict> all = new ArrayList<>();
        Parity.run(file, all::add);
        assertEquals(Parity.backends(), all.stream().map(Verdict::backend).toList());
        return all.getFirst();
    }

    /// On the backends that this module sees; the command's tests run them on all.
    @ParameterizedTest
    @MethodSource("golden")
    void ourPartsEqualPyTorch(Path file) {
        Verdict v = verdict(file);
        assertEquals("", v.reason());
        assertTrue(v.ok());
        assertTrue(v.maxAbsErr() < 1e-3 && v.maxRelErr() < 1e-3, v.toString());
    }

    /// What is to be done to a case before it is written under another name.
    private Path changed(String name, Consumer<Map<String, Tensor>> tensors, Consumer<Map<String, String>> metadata)
            throws IOException {
        Path file = folder.resolve(name + ".safetensors");
        try (ModelMemory memory = new ModelMemory()) {
            Safetensors golden = Safetensors.open(GOLDEN.resolve(name + ".safetensors"), memory);
            Map<String, Tensor> t = new LinkedHashMap<>(golden.tensors());
            Map<String, String> m = new LinkedHashMap<>(golden.metadata());
            tensors.accept(t);
            metadata.accept(m);
            Safetensors.save(file, t, m);
        }
        return file;
    }

    private static void assertFails(Path file, String reason) {
        Verdict v = verdict(file);
        assertFalse(v.ok());
        assertTrue(v.reason().contains(reason), v.reason());
        assertFalse(v.reason().contains("\n"), v.reason());
    }

    private static Tensor spoilt(Tensor t) {
        double[] values = t.toDoubles();
        values[values.length - 1] += 2e-3 * Math.max(1, Math.abs(values[values.length - 1]));
        return Tensor.of(values, t.shape().toArray()).to(t.dtype());
    }

    @Test
    void aCaseThatIsOnlyCopiedPasses() throws IOException {
        assertTrue(verdict(changed("gqa", _ -> {}, _ -> {})).ok());
    }

    @Test
    void oneSpoiltNumberFails() throws IOException {
        for (String name : List.of("output.y", "output.weights", "grad.input.x", "grad.param.k_proj.weight")) {
            assertFails(changed("gqa", t -> t.compute(name, (_, x) -> spoilt(x)), _ -> {}), name + " is ");
        }
        assertFails(changed("batch_norm_2d_train", t -> t.compute("after.buffer.running_var", (_, x) -> spoilt(x)),
                _ -> {}), "after.buffer.running_var is ");
        assertFails(changed("torch_generator", t -> t.compute("output.randint9", (_, x) -> {
            long[] n = x.toLongs();
            n[3]++;
            return Tensor.of(n, n.length);
        }), _ -> {}), "output.randint9 is ");
        assertFails(changed("torch_generator", t -> t.compute("output.rand7", (_, x) -> {
            float[] f = x.toFloats();
            f[6] = Math.nextUp(Math.nextUp(f[6]));
            return Tensor.of(f, f.length);
        }), _ -> {}), "output.rand7 is ");
    }

    @Test
    void aNumberThatIsNoneFails() throws IOException {
        assertFails(changed("rms_norm", t -> t.compute("output.y", (_, x) -> x.mul(Double.NaN)), _ -> {}),
                "expected NaN");
    }

    @Test
    void whatIsNotKnownFails() throws IOException {
        assertFails(changed("gqa", _ -> {}, m -> m.put("component", "hyper_attention")),
                "component hyper_attention is not known here");
        assertFails(changed("rms_norm", _ -> {}, m -> m.put("config",
                "{\"hidden_size\": 12, \"eps\": 1e-6, \"center\": true}")), "config key center is not known");
        assertFails(changed("cross_entropy_sum", _ -> {}, m -> m.put("config", "{\"reduction\": \"median\"}")),
                "config key reduction is median");
        assertFails(changed("sdpa_causal", _ -> {}, m -> m.put("config", "{\"causal\": \"top_left\"}")),
                "config key causal is top_left");
        assertFails(changed("rms_norm", _ -> {}, m -> m.put("config", "{\"hidden_size\": \"wide\", \"eps\": 1}")),
                "config key hidden_size is \"wide\", expected a number");
        assertFails(changed("rms_norm", _ -> {}, m -> m.put("config", "{\"eps\": 1e-6}")),
                "config key hidden_size is missing");
        assertFails(changed("rms_norm", _ -> {}, m -> m.put("config", "{\"hidden_size\": 12.5, \"eps\": 1e-6}")),
                "config key hidden_size is 12.5, expected a whole number");
    }

    @Test
    void whatIsNotUsedFails() throws IOException {
        assertFails(changed("rms_norm", t -> t.put("input.mask", t.get("input.x")), _ -> {}),
                "input.mask is not used by component rms_norm");
        assertFails(changed("rms_norm", t -> t.put("param.beta", t.get("param.gamma")), _ -> {}),
                "not part of the model: beta");
        assertFails(changed("act_relu", t -> t.put("param.beta", t.get("input.x")), _ -> {}),
                "param.beta is not used by component relu");
        assertFails(changed("rms_norm", t -> t.put("output.z", t.get("output.y")), _ -> {}), "[");
        assertFails(changed("rms_norm", t -> t.put("expected.y", t.get("output.y")), _ -> {}),
                "rms_norm.safetensors: tensor expected.y is of no kind that is known");
    }

    @Test
    void whatIsMissingFails() throws IOException {
        assertFails(changed("rms_norm", t -> t.remove("input.x"), _ -> {}), "input.x is missing");
        assertFails(changed("rms_norm", t -> t.remove("param.gamma"), _ -> {}),
                "params and buffers: missing: gamma (12)");
        assertFails(changed("align_gae", t -> t.remove("output.returns"), _ -> {}), "returns");
        assertFails(changed("rms_norm", _ -> {}, m -> m.remove("component")),
                "rms_norm.safetensors: no golden case: its metadata has no key component");
        assertFails(changed("rms_norm", _ -> {}, m -> m.put("config", "[1, 2")),
                "rms_norm.safetensors: metadata key config is no JSON object");
    }

    @Test
    void damagedFilesAreNamed() throws IOException {
        byte[] good = Files.readAllBytes(GOLDEN.resolve("rms_norm.safetensors"));
        for (int length : new int[] {0, 5, 200, good.length - 1}) {
            Path cut = folder.resolve("cut" + length + ".safetensors");
            Files.write(cut, Arrays.copyOf(good, length));
            assertFails(cut, cut.getFileName().toString());
        }
        assertFails(folder.resolve("none.safetensors"), "none.safetensors");
        Path empty = Files.createDirectory(folder.resolve("empty"));
        assertThrows(IllegalArgumentException.class, () -> Parity.files(empty));
    }

    /// A run changes neither the case nor the next run.
    @Test
    void runsAreIndependent() {
        try (ModelMemory memory = new ModelMemory()) {
            GoldenCase golden = GoldenCase.open(GOLDEN.resolve("batch_norm_2d_train.safetensors"), memory);
            for (int i = 0; i < 3; i++) {
                assertEquals("", Parity.judge(golden, Components.named("batch_norm"), "scalar").reason());
            }
        }
    }

    private Path config(String name, String json) throws IOException {
        return changed(name, _ -> {}, m -> m.put("config", json));
    }

    @Test
    void aHostileSettingFailsItsCaseAlone() throws IOException {
        for (String order : List.of("[\"randn\"]", "[{}]", "[\"randn x\"]", "[\"randn -3\"]", "[\"linear 3\"]")) {
            assertFalse(verdict(config("torch_generator", "{\"seed\": 1, \"order\": " + order + "}")).ok(), order);
        }
        for (String total : List.of("-5", "2147483647", "1.5")) {
            assertFalse(verdict(config("cosine_schedule",
                    "{\"warmup_steps\": 1, \"total_steps\": " + total + ", \"max_lr\": 1, \"min_lr\": 0}")).ok(),
                    total);
        }
    }

    @Test
    void aBufferThatNobodyReadsFails() throws IOException {
        assertFails(changed("act_relu", t -> t.put("buffer.groups", Tensor.zeros(1)), _ -> {}),
                "buffer.groups is not used by component relu");
    }

    @Test
    void classesMayHaveTheirOwnAlpha() throws IOException {
        // five equal ones are the number that the case was made with
        assertTrue(verdict(config("focal_mean",
                "{\"alpha\": [0.7, 0.7, 0.7, 0.7, 0.7], \"gamma\": 2.5, \"reduction\": \"mean\"}")).ok());
        assertFalse(verdict(config("focal_mean",
                "{\"alpha\": [0.7, 0.7, 0.6, 0.7, 0.7], \"gamma\": 2.5, \"reduction\": \"mean\"}")).ok());
    }
}
