package dev.deckle.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import dev.deckle.autograd.GradCheck;
import dev.deckle.autograd.NoGrad;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.Pass;
import dev.deckle.nn.Weights;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class LlamaTest {
    /// Sizes that are all different, with key heads between one and all.
    private static Llama.Config config(boolean tied, double dropout) {
        return new Llama.Config(new DecoderConfig(11, 12, 10, 2, 6, 3, 2, 32, 1e-6, dropout, 0.3, tied),
                Rotary.plain(100), true, true, Optional.empty());
    }

    private static Tensor ids(int... shape) {
        Generator random = new Generator(5);
        int n = shape[0] * shape[1];
        long[] ids = new long[n];
        for (int i = 0; i < n; i++) {
            ids[i] = random.nextInt(11);
        }
        return Tensor.of(ids, shape);
    }

    /// Every parameter of the whole decoder against central differences in F64.
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void gradientsOfTheWholeDecoder(boolean tied) {
        ModelMemory memory = new ModelMemory();
        Llama.Config c = config(tied, 0);
        try (Llama model = new Llama(c, c.json(0), Weights.init(memory, new Generator(1), DType.F64), memory)) {
            Tensor ids = ids(2, 5);
            Tensor targets = ids(1, 10).reshape(-1);
            double worst = GradCheck.worst(
                    () -> Functional.crossEntropy(model.forward(ids, Pass.evaluate()).reshape(-1, 11), targets, 3)
                            .mean(),
                    new ArrayList<>(model.parameters().values()), 1e-4);
            assertTrue(worst < 1e-7, "worst error " + worst);
            assertEquals(tied, !model.parameters().containsKey("lm_head.weight"));
        }
    }

    /// A prompt, a token, a piece that is taken back, a piece, rows in another order and number, a token.
    @ParameterizedTest
    @EnumSource(KvCache.Kind.class)
    void decodingThroughACacheEqualsTheWholeSequence(KvCache.Kind kind) {
        try (Llama model = Llama.create(config(false, 0), 0, 2);
                NoGrad _ = NoGrad.open();
                KvCache cache = kind.open(21, 3)) {
            Tensor ids = ids(2, 21);
            continues(model, ids, 0, 16, cache);
            continues(model, ids, 16, 17, cache);
            model.forward(ids(2, 3), Pass.decode(cache));
            cache.truncate(17);
            continues(model, ids, 17, 20, cache);
            cache.reorder(1, 0, 1);
            Tensor rows = Functional.concat(
                    List.of(ids.slice(0, 1, 2), ids.slice(0, 0, 1), ids.slice(0, 1, 2)), 0);
            continues(model, rows, 20, 21, cache);
            assertEquals(21, cache.length());
            assertThrows(IllegalStateException.class, () -> model.forward(ids(3, 1), Pass.decode(cache)));
        }
    }

    private static void continues(Llama model, Tensor ids, int from, int to, KvCache cache) {
        Tensor whole = model.forward(ids, Pass.evaluate()).slice(1, from, to); // (B, T, 11)
        Tensor part = model.forward(ids.slice(1, from, to).contiguous(), Pass.decode(cache));
        assertArrayEquals(whole.toFloats(), part.toFloats(), 1e-5f);
    }

    @Test
    void theFutureIsNotSeen() {
        try (Llama model = Llama.create(config(false, 0), 0, 2)) {
            long[] a = ids(1, 7).toLongs();
            long[] b = a.clone();
            b[5] = (b[5] + 1) % 11;
            float[] x = model.forward(Tensor.of(a, 1, 7), Pass.evaluate()).toFloats();
            float[] y = model.forward(Tensor.of(b, 1, 7), Pass.evaluate()).toFloats();
            for (int i = 0; i < 5 * 11; i++) {
                assertEquals(x[i], y[i]);
            }
            assertTrue(x[5 * 11] != y[5 * 11]);
        }
    }

    @Test
    void dropoutActsInTrainingOnly() {
        try (Llama with = Llama.create(config(false, 0.5), 0, 2);
                Llama without = Llama.create(config(false, 0), 0, 2)) {
            Tensor ids = ids(2, 6);
            assertArrayEquals(without.forward(ids, Pass.evaluate()).toFloats(),
                    with.forward(ids, Pass.evaluate()).toFloats());
            float[] one = with.forward(ids, Pass.train(new Generator(1))).toFloats();
            float[] again = with.forward(ids, Pass.train(new Generator(1))).toFloats();
            float[] other = with.forward(ids, Pass.train(new Generator(2))).toFloats();
            assertArrayEquals(one, again);
            assertFalse(Arrays.equals(one, other));
            assertArrayEquals(without.forward(ids, Pass.evaluate()).toFloats(),
                    without.forward(ids, Pass.train(new Generator(1))).toFloats());
        }
    }

    @TempDir
    private Path folder;

    private void save(Llama model, Map<String, Tensor> weights, String config) throws IOException {
        Files.writeString(folder.resolve("config.json"), config);
        Safetensors.save(folder.resolve("model.safetensors"), weights, Map.of());
    }

    @Test
    void whatIsSavedIsOpened() throws IOException {
        try (Llama model = Llama.create(config(true, 0), 0, 2)) {
            save(model, model.parameters(), model.configJson().toString());
            try (CausalLm opened = Models.open(folder)) {
                assertArrayEquals(model.forward(ids(1, 4), Pass.evaluate()).toFloats(),
                        opened.forward(ids(1, 4), Pass.evaluate()).toFloats());
                assertFalse(opened.parameters().values().iterator().next().requiresGrad());
            }
        }
    }

    @Test
    void weightsThatDoNotFitAreListedAtOnce() throws IOException {
        try (Llama model = Llama.create(config(false, 0), 0, 2)) {
            Map<String, Tensor> weights = new LinkedHashMap<>(model.parameters());
            weights.remove("model.layers.1.mlp.up_proj.weight");
            weights.put("model.norm.weight", Tensor.ones(3));
            weights.put("model.extra", Tensor.ones(1));
            save(model, weights, model.configJson().toString());
            String m = assertThrows(IllegalArgumentException.class, () -> Models.open(folder)).getMessage();
            assertTrue(m.contains("missing: model.layers.1.mlp.up_proj.weight (10, 12);"), m);
            assertTrue(m.contains("model.norm.weight is F32 (3), (12) expected"), m);
            assertTrue(m.contains("not part of the model: model.extra"), m);
            assertTrue(m.startsWith(folder.toString()), m);
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "hidden_size|0|hidden_size is 0, expected a whole number from 1",
        "hidden_size|1e9|hidden_size is 1e9, expected a whole number",
        "hidden_size|\"12\"|hidden_size is \"12\", expected a number",
        "num_key_value_heads|4|num_key_value_heads is 4, expected a divisor of num_attention_heads 6",
        "head_dim|3|head_dim is 3, expected an even number",
        "rms_norm_eps|-1|rms_norm_eps is -1, expected a number above 0",
        "model_type|\"bert\"|model_type is \"bert\", expected one of deepseek_v3, gemma",
        "hidden_act|\"maxout\"|hidden_act is \"maxout\", expected one of gelu",
        "tie_word_embeddings|1|tie_word_embeddings is 1, expected true or false",
        "vocab_size|null|vocab_size is null, expected a number",
        "rope_parameters|{\"rope_type\":\"spiral\"}|rope_type is \"spiral\", expected default, linear, dynamic",
        "num_hidden_layers|9999|missing: model.layers.2.self_attn"
    })
    void configurationsThatDoNotFitAreExplained(String key, String value, String expected) throws IOException {
        try (Llama model = Llama.create(config(false, 0), 0, 2)) {
            var json = model.configJson().deepCopy();
            json.add(key, JsonParser.parseString(value));
            save(model, model.parameters(), json.toString());
            String m = assertThrows(IllegalArgumentException.class, () -> Models.open(folder)).getMessage();
            assertTrue(m.contains(expected), m);
            assertTrue(m.startsWith(folder.toString()), m);
        }
    }

    @Test
    void aTrainingStepLowersTheLossAndKeepsMemoryFlat() {
        try (Llama model = Llama.create(config(false, 0), 0, 2);
                var optimizer = new AdamW(model.parameters(),
                        new AdamW.Options(0.9, 0.95, 1e-8, 0.1))) {
            double first = 0;
            double last = 0;
            long reserved = 0;
            for (int i = 0; i < 60; i++) {
                try (Workspace _ = Workspace.open()) {
                    Tensor loss = Functional.crossEntropy(
                            model.forward(ids(2, 9), Pass.evaluate()).reshape(-1, 11), ids(1, 18).reshape(-1), -100)
                            .mean();
                    loss.backward();
                    last = loss.item();
                }
                optimizer.step(1e-2, 1);
                first = i == 0 ? last : first;
                if (i == 5) {
                    reserved = Workspace.reservedBytes();
                }
            }
            assertTrue(last < first / 2, first + " -> " + last);
            assertEquals(reserved, Workspace.reservedBytes());
        }
    }
}
