package dev.deckle.app;

import static dev.deckle.app.Harm.either;
import static dev.deckle.app.Harm.refused;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.app.Harm.Part;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/// What can be wrong with the JSON files of a folder: as text, and in what they say.
final class HarmToJson {
    private static final Map<String, Part> FILES = new LinkedHashMap<>();

    static {
        FILES.put("config.json", Part.MODEL);
        FILES.put("tokenizer.json", Part.TOKENIZER);
        FILES.put("tokenizer_config.json", Part.CHAT);
        FILES.put("generation_config.json", Part.GENERATION);
        FILES.put(Strangers.INDEX, Part.MODEL);
    }

    private static final List<String> VALUES = new ArrayList<>(List.of("null", "true", "false", "[]", "{}", "\"\"",
            "\"8\"", "0", "-0", "-1", "1", "2", "3", "7", "1.5", "-0.0", "1e-320", "1e308", "1e999", "-1e999", "1e-999",
            "2147483647", "2147483648", "-2147483648", "1000000000", "16777216", "1073741824", "9223372036854775807",
            "99999999999999999999999999", "1e999999999", "[1]", "[[[]]]", "[null]", "{\"a\":{}}", "[1,2,3]", "10000",
            "[\"sliding_attention\"]", "[\"full_attention\",\"x\"]", "\"\\ud800\"", "\"\\u0000\\u001b[2J\"",
            "\"linear\"", "\"yarn\"", "\"NaN\"", "\"../../etc/passwd\"", "[2, 999999999]", "[-1]", "0.5", "1e30"));

    static {
        VALUES.add("\"" + "x".repeat(100_000) + "\"");
        VALUES.add("9".repeat(3_000));
        VALUES.add(Collections.nCopies(10_000, 1).toString());
    }

    /// Keys that no golden checkpoint has in its file.
    private static final List<String> MORE = List.of("head_dim", "sliding_window", "use_sliding_window", "layer_types",
            "max_window_layers", "rope_theta", "rope_scaling", "partial_rotary_factor", "n_group", "topk_group",
            "num_experts", "num_local_experts", "n_inner", "mlp_only_layers", "decoder_sparse_step", "auto_map",
            "quantization_config", "attention_bias", "mlp_bias", "hidden_act", "final_logit_softcapping",
            "query_pre_attn_scalar", "eos_token_id", "first_k_dense_replace", "n_shared_experts", "kv_lora_rank",
            "num_nextn_predict_layers", "torch_dtype", "add_cross_attention");

    private static final List<String> GENERATION = List.of("do_sample", "temperature", "top_k", "top_p", "min_p",
            "repetition_penalty", "num_beams", "num_return_sequences", "length_penalty", "early_stopping",
            "max_new_tokens", "max_length", "min_new_tokens", "eos_token_id", "pad_token_id", "stop_strings",
            "typical_p", "suppress_tokens", "guidance_scale", "bad_words_ids");

    private static final List<String> ROPE = List.of("factor", "rope_type", "type", "rope_theta", "low_freq_factor",
            "high_freq_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "attention_factor",
            "original_max_position_embeddings", "truncate", "partial_rotary_factor");

    private HarmToJson() {}

    static List<Harm> all() {
        List<Harm> all = new ArrayList<>();
        FILES.forEach((file, part) -> {
            all.addAll(asText(file, part));
            all.addAll(inside(file, part));
        });
        Stream.of(config(), generation(), rope(), tokenizers(), templates()).forEach(all::addAll);
        return all;
    }

    private static <T> T one(Random random, List<T> of) {
        return of.get(random.nextInt(of.size()));
    }

    private static Harm.Body text(String file, UnaryOperator<String> change) {
        return (folder, _) -> {
            Path path = folder.resolve(file);
            String old = Files.exists(path) ? Files.readString(path) : "{}";
            Files.writeString(path, change.apply(old));
            return "";
        };
    }

    private static Harm.Body bytes(String file, byte[] insteadOfFirst) {
        return (folder, _) -> {
            Path path = folder.resolve(file);
            byte[] old = Files.exists(path) ? Files.readAllBytes(path) : "{}".getBytes(StandardCharsets.UTF_8);
            byte[] all = Arrays.copyOf(insteadOfFirst, insteadOfFirst.length + old.length - 1);
            System.arraycopy(old, 1, all, insteadOfFirst.length, old.length - 1);
            Files.write(path, all);
            return "";
        };
    }

    /// An index is read only where there are shards.
    private static Harm broken(String file, String name, Part part, Harm.Body body) {
        return file.equals(Strangers.INDEX) ? either(file + ": " + name, part, body)
                : refused(file + ": " + name, part, body);
    }

    private static List<Harm> asText(String file, Part part) {
        byte[] invalid = {'{', '"', 'a', '"', ':', '"', (byte) 0xff, (byte) 0xc0, '"', ','};
        byte[] surrogate = {'{', '"', 'a', '"', ':', '"', (byte) 0xed, (byte) 0xa0, (byte) 0x80, '"', ','};
        return List.of(
                broken(file, "empty", part, text(file, _ -> "")),
                broken(file, "blank", part, text(file, _ -> " \n")),
                broken(file, "cut", part, (folder, random) -> {
                    Path path = folder.resolve(file);
                    String old = Files.exists(path) ? Files.readString(path).strip() : "{}";
                    int end = random.nextInt(old.length());
                    Files.writeString(path, old.substring(0, end));
                    return "at " + end;
                }),
                broken(file, "deep lists", part, text(file, s -> "{\"deep\":" + "[".repeat(100_000) + "]"
                        .repeat(100_000) + "," + s.substring(1))),
                broken(file, "deep objects", part, text(file, _ -> "{\"a\":".repeat(100_000))),
                broken(file, "not UTF-8", part, bytes(file, invalid)),
                broken(file, "a surrogate in UTF-8", part, bytes(file, surrogate)),
                broken(file, "UTF-16", part, (folder, _) -> {
                    Files.write(folder.resolve(file), "{\"model_type\": \"llama\"}".getBytes(StandardCharsets.UTF_16));
                    return "";
                }),
                either(file + ": a byte order mark", part, text(file, s -> "\ufeff" + s)),
                either(file + ": a key twice", part, text(file, s -> s.strip().replaceFirst("}$",
                        ",\"model_type\":\"x\",\"model_type\":\"llama\",\"eos_token_id\":3}"))),
                either(file + ": a lone surrogate", part, text(file, s -> s.strip().replaceFirst("^\\{",
                        "{\"\\\\ud800\":\"\\\\udc00\","))),
                broken(file, "more behind", part, text(file, s -> s + "{}")),
                broken(file, "a list", part, text(file, s -> "[" + s + "]")),
                broken(file, "a comment", part, text(file, s -> "// hello\n" + s)),
                broken(file, "a bare word", part, text(file, s -> s.strip().replaceFirst("^\\{", "{x:NaN,"))),
                broken(file, "zeros", part, (folder, random) -> {
                    Files.write(folder.resolve(file), new byte[1 + random.nextInt(10_000)]);
                    return "";
                }),
                either(file + ": flipped bits", part, (folder, random) -> Files.exists(folder.resolve(file))
                        ? HarmToWeights.flip(folder.resolve(file), Integer.MAX_VALUE, random)
                        : "nothing"));
    }

    /// Another value in any place of the tree.
    private static List<Harm> inside(String file, Part part) {
        Harm.Body value = (folder, random) -> {
            Path path = folder.resolve(file);
            JsonElement root = JsonParser.parseString(Files.exists(path) ? Files.readString(path) : "{}");
            String done = change(root, random);
            Strangers.write(path, root);
            return done;
        };
        return Collections.nCopies(file.startsWith("tokenizer") ? 12 : 6, either(file + ": a value", part, value));
    }

    private static String change(JsonElement at, Random random) {
        if (at instanceof JsonObject o && !o.isEmpty()) {
            String key = one(random, new ArrayList<>(o.keySet()));
            JsonElement inner = o.get(key);
            if (inner.isJsonPrimitive() || inner.isJsonNull() || random.nextInt(6) == 0) {
                if (random.nextInt(8) == 0) {
                    o.remove(key);
                    return key + " removed";
                }
                JsonElement other = JsonParser.parseString(one(random, VALUES));
                o.add(key, other);
                return key + " = " + brief(other);
            }
            return key + "." + change(inner, random);
        }
        if (at instanceof JsonArray a && !a.isEmpty()) {
            int i = random.nextInt(a.size());
            if (!a.get(i).isJsonPrimitive() && random.nextInt(6) != 0) {
                return i + "." + change(a.get(i), random);
            }
            JsonElement other = JsonParser.parseString(one(random, VALUES));
            a.set(i, other);
            return i + " = " + brief(other);
        }
        return "nothing";
    }

    private static String brief(JsonElement e) {
        String s = e.toString();
        return s.length() > 60 ? s.substring(0, 60) + "..." : s;
    }

    private static Harm.Body keys(String file, String within, List<String> keys) {
        return (folder, random) -> {
            Path path = folder.resolve(file);
            JsonObject root = JsonParser.parseString(Files.exists(path) ? Files.readString(path) : "{}")
                    .getAsJsonObject();
            JsonObject at = root;
            if (!within.isEmpty()) {
                at = root.has(within) && root.get(within).isJsonObject() ? root.getAsJsonObject(within)
                        : new JsonObject();
                root.add(within, at);
            }
            StringBuilder done = new StringBuilder();
            for (int i = 1 + random.nextInt(2); i > 0; i--) {
                String key = one(random, keys);
                JsonElement value = JsonParser.parseString(one(random, VALUES));
                at.add(key, value);
                done.append(key).append(" = ").append(brief(value)).append(' ');
            }
            Strangers.write(path, root);
            return done.toString();
        };
    }

    private static Harm.Body put(String file, String json) {
        return (folder, _) -> {
            Path path = folder.resolve(file);
            JsonObject root = JsonParser.parseString(Files.exists(path) ? Files.readString(path) : "{}")
                    .getAsJsonObject();
            JsonParser.parseString(json).getAsJsonObject().asMap().forEach(root::add);
            Strangers.write(path, root);
            return json.substring(0, Math.min(60, json.length()));
        };
    }

    private static Harm config(String json, String told) {
        return refused("config.json with " + json, Part.MODEL, told, put("config.json", json));
    }

    private static List<Harm> config() {
        List<Harm> all = new ArrayList<>();
        all.addAll(Collections.nCopies(12, either("config.json: a known key", Part.MODEL, keys("config.json", "",
                MORE))));
        all.addAll(Collections.nCopies(8, either("generation_config.json: a known key", Part.GENERATION, keys(
                "generation_config.json", "", GENERATION))));
        for (String size : List.of("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")) {
            for (String value : List.of("1000000000", "0", "-1", "1.5", "\"8\"", "[]", "1e999", "2147483648")) {
                String gpt = size.replace("num_hidden_layers", "n_layer").replace("num_attention_heads", "n_head")
                        .replace("hidden_size", "n_embd");
                all.add(config("{\"" + size + "\":" + value + ",\"" + gpt + "\":" + value + "}", "config\\.json"));
            }
        }
        // more memory than there is: refused before any is asked for
        all.add(config("{\"vocab_size\":2147483647,\"hidden_size\":1048576,\"n_embd\":1048576}", "config\\.json"));
        all.add(config("{\"num_hidden_layers\":10000,\"n_layer\":10000}", "config\\.json"));
        all.add(config("{\"num_experts\":16384,\"num_local_experts\":16384,\"n_routed_experts\":16384,"
                + "\"n_layer\":9999,\"num_hidden_layers\":9999}", "config\\.json"));
        all.add(config("{\"model_type\":\"mamba\"}", "model_type is \"mamba\", expected one of"));
        all.add(config("{\"model_type\":null}", "model_type"));
        all.add(config("{\"model_type\":[\"llama\"]}", "model_type"));
        all.add(config("{\"model_type\":\"phi9\",\"auto_map\":{\"AutoModel\":\"modeling.Phi\"}}", "never run"));
        for (String q : List.of("{\"quant_method\":\"gptq\",\"bits\":4}", "{\"quant_method\":\"awq\"}",
                "{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}", "{\"quant_method\":\"fp8\"}",
                "{\"quant_method\":\"mxfp4\"}", "{}")) {
            all.add(config("{\"quantization_config\":" + q + "}", "quantised.*original weights"));
        }
        for (String q : List.of("[]", "7", "\"fp8\"", "{\"quant_method\":7}")) {
            all.add(config("{\"quantization_config\":" + q + "}", "config\\.json.*quant"));
        }
        all.add(refused("config.json of 50 MB", Part.MODEL, "config\\.json", text("config.json", s -> "{\"x\":\""
                + "x".repeat(50_000_000) + "\"," + s.strip().substring(1))));
        return all;
    }

    private static List<Harm> generation() {
        String file = "generation_config.json";
        return List.of(
                refused("more beams than tokens", Part.GENERATION, "num_beams", put(file, "{\"num_beams\":10000}")),
                refused("the same text twice", Part.GENERATION, "num_return_sequences", put(file,
                        "{\"num_return_sequences\":2,\"do_sample\":false}")),
                refused("stops without a tokenizer", Part.GENERATION, "stop_strings", (folder, random) -> {
                    Files.delete(folder.resolve("tokenizer.json"));
                    return put(file, "{\"stop_strings\":[\"the\"]}").spoil(folder, random);
                }));
    }

    private static List<Harm> rope() {
        List<Harm> all = new ArrayList<>(Collections.nCopies(12, either("rope_parameters", Part.MODEL, keys(
                "config.json", "rope_parameters", ROPE))));
        all.addAll(Collections.nCopies(6, either("rope_scaling", Part.MODEL, (folder, random) -> {
            put("config.json",
                    "{\"rope_scaling\":{\"rope_type\":\"" + one(random, List.of("linear", "dynamic", "llama3",
                            "yarn")) + "\",\"factor\":2,\"low_freq_factor\":1,\"high_freq_factor\":4}}")
                    .spoil(folder, random);
            return keys("config.json", "rope_scaling", ROPE).spoil(folder, random);
        })));
        return all;
    }

    private static List<Harm> tokenizers() {
        String file = "tokenizer.json";
        return List.of(
                either("an id beyond the embedding", Part.TOKENIZER, put(file, "{\"added_tokens\":[{\"id\":5000,"
                        + "\"content\":\"the\",\"special\":true}]}")),
                either("an id beyond everything", Part.TOKENIZER, put(file, "{\"added_tokens\":[{\"id\":16777215,"
                        + "\"content\":\"the\",\"special\":true}]}")),
                either("no special tokens", Part.TOKENIZER, put(file, "{\"added_tokens\":[]}")),
                either("no vocabulary", Part.TOKENIZER, text(file, s -> s.replaceFirst("\"vocab\": ",
                        "\"vocab\": {}, \"x\": "))),
                refused("no model", Part.TOKENIZER, put(file, "{\"model\":null}")),
                refused("unknown model", Part.TOKENIZER, put(file, "{\"model\":{\"type\":\"Magic\"}}")),
                either("a pattern that explodes", Part.TOKENIZER, put(file, "{\"pre_tokenizer\":{\"type\":\"Split\","
                        + "\"pattern\":{\"Regex\":\"(a*)*(a|a)*((a+)+)+$\"},\"behavior\":\"Isolated\","
                        + "\"invert\":false}}")),
                either("a pattern of a million", Part.TOKENIZER, put(file, "{\"pre_tokenizer\":{\"type\":\"Split\","
                        + "\"pattern\":{\"Regex\":\"((a{1000}){1000}){1000}\"},\"behavior\":\"Isolated\","
                        + "\"invert\":false}}")),
                either("a pattern of brackets", Part.TOKENIZER, put(file, "{\"pre_tokenizer\":{\"type\":\"Split\","
                        + "\"pattern\":{\"Regex\":\"" + "(".repeat(50_000) + ")".repeat(50_000)
                        + "\"},\"behavior\":\"Isolated\",\"invert\":false}}")),
                either("a normalizer that grows text", Part.TOKENIZER, put(file, "{\"normalizer\":{\"type\":"
                        + "\"Sequence\",\"normalizers\":[" + String.join(",", Collections.nCopies(40,
                                "{\"type\":\"Replace\",\"pattern\":{\"String\":\"t\"},\"content\":\"tt\"}"))
                        + "]}}")),
                either("merges of what is not there", Part.TOKENIZER, text(file, s -> s.replaceFirst(
                        "\"merges\": \\[", "\"merges\": [[\"zz\", \"y\"], "))),
                either("another vocabulary", Part.TOKENIZER, text(file, s -> s.replaceAll("\": (\\d+)", "\": 9$1"))));
    }

    private static Harm template(String name, String template) {
        return either("template that " + name, Part.CHAT, (folder, random) -> {
            Files.deleteIfExists(folder.resolve("chat_template.jinja"));
            if (random.nextBoolean()) {
                Files.write(folder.resolve("chat_template.jinja"), template.getBytes(StandardCharsets.UTF_8));
            } else {
                JsonObject config = new JsonObject();
                config.addProperty("chat_template", template);
                Strangers.write(folder.resolve("tokenizer_config.json"), config);
            }
            return "";
        });
    }

    private static List<Harm> templates() {
        return List.of(
                template("loops for ever", "{% for i in range(999999999) %}{% for j in range(999999999) %}"
                        + "{% set x = i %}{% endfor %}{% endfor %}"),
                template("fills the memory", "{% set n = namespace(s='x') %}{% for i in range(99) %}"
                        + "{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}"),
                template("multiplies text", "{{ 'x' * 999999999999 }}"),
                template("multiplies lists", "{{ ([1] * 2000000000) | length }}"),
                template("pads text",
                        "{{ '%999999999d' % 1 }}{{ 'x' | center(2000000000) }}{{ 'x'.ljust(2000000000) }}"),
                template("has huge powers", "{{ 10 ** 999999999 }}"),
                template("recurs", "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}"),
                template("recurs twice", "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}"
                        + "{{ f(200) }}"),
                template("is nested", "{{ " + "(".repeat(20_000) + "1" + ")".repeat(20_000) + " }}"),
                template("is nested in blocks", "{% if 1 %}".repeat(20_000) + "{% endif %}".repeat(20_000)),
                template("has a chain", "{{ 1" + " + 1".repeat(50_000) + " }}"),
                template("has filters", "{{ messages" + " | list".repeat(50_000) + " }}"),
                template("is broken", "{% for m in messages %}{{ m.content "),
                template("has no end", "{% if messages %}"),
                template("asks for what is not there", "{{ messages[99].content.x.y }}"),
                template("divides by nothing", "{{ 1 / 0 }}{{ 1 // 0 }}{{ 1 % 0 }}"),
                template("reaches for the machine", "{{ ''.__class__.__mro__[1].__subclasses__() }}"),
                template("raises", "{{ raise_exception('no\n\u001b[31msystem role') }}"),
                template("raises at length", "{{ raise_exception('x' * 100000) }}"),
                template("imports", "{% import 'os' as os %}{{ os }}"),
                template("includes", "{% include '/etc/passwd' %}"),
                template("is empty", ""),
                template("is binary", "\u0000\u0001\ud83d"));
    }

}
