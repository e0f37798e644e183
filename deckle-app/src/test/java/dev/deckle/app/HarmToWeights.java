package dev.deckle.app;

import static dev.deckle.app.Harm.Part.MODEL;
import static dev.deckle.app.Harm.Part.NUMBERS;
import static dev.deckle.app.Harm.either;
import static dev.deckle.app.Harm.refused;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/// What can be wrong with files of weights and the index of shards.
final class HarmToWeights {
    /// A file taken apart.
    private record Parts(Path file, JsonObject header, byte[] data) {
        static Parts of(Path folder, Random random) throws IOException {
            Path file = any(folder, random);
            ByteBuffer b = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
            byte[] text = new byte[(int) b.getLong()];
            b.get(text);
            byte[] data = new byte[b.remaining()];
            b.get(data);
            String header = new String(text, StandardCharsets.UTF_8);
            return new Parts(file, JsonParser.parseString(header).getAsJsonObject(), data);
        }

        String tensor(Random random) {
            List<String> names = new ArrayList<>(header.keySet());
            names.remove("__metadata__");
            return names.get(random.nextInt(names.size()));
        }

        JsonArray offsets(String tensor) {
            return header.getAsJsonObject(tensor).getAsJsonArray("data_offsets");
        }

        void write() throws IOException {
            write(Strangers.text(header));
        }

        void write(String text) throws IOException {
            byte[] head = text.getBytes(StandardCharsets.UTF_8);
            Files.write(file, ByteBuffer.allocate(8 + head.length + data.length).order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(head.length).put(head).put(data).array());
        }
    }

    @FunctionalInterface
    private interface Change {
        String to(Parts parts, String tensor, Random random);
    }

    private HarmToWeights() {}

    private static Path any(Path folder, Random random) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            List<Path> all = files.filter(f -> f.toString().endsWith(".safetensors")).sorted().toList();
            return all.get(random.nextInt(all.size()));
        }
    }

    private static Harm.Body header(Change change) {
        return (folder, random) -> {
            Parts parts = Parts.of(folder, random);
            String tensor = parts.tensor(random);
            String done = change.to(parts, tensor, random);
            parts.write();
            return tensor + " " + done;
        };
    }

    /// The text of the header, its length made to fit again.
    private static Harm.Body text(UnaryOperator<String> change) {
        return (folder, random) -> {
            Parts parts = Parts.of(folder, random);
            parts.write(change.apply(parts.header.toString()));
            return parts.file.getFileName().toString();
        };
    }

    private static Harm.Body bits(int f32, int half) {
        return (folder, random) -> {
            Parts parts = Parts.of(folder, random);
            String name = parts.tensor(random);
            JsonObject tensor = parts.header.getAsJsonObject(name);
            int begin = parts.offsets(name).get(0).getAsInt();
            boolean wide = tensor.get("dtype").getAsString().equals("F32");
            ByteBuffer data = ByteBuffer.wrap(parts.data).order(ByteOrder.LITTLE_ENDIAN);
            if (wide) {
                data.putInt(begin, f32);
            } else {
                data.putShort(begin, (short) half);
            }
            parts.write();
            return name;
        };
    }

    private static String set(JsonObject tensor, String key, JsonElement value) {
        tensor.add(key, value);
        return key + " " + value;
    }

    private static JsonElement json(String text) {
        return JsonParser.parseString(text);
    }

    private static <T> T one(Random random, List<T> of) {
        return of.get(random.nextInt(of.size()));
    }

    static List<Harm> all() {
        return Stream.of(lengths(), offsets(), types(), texts(), indexes()).flatMap(List::stream).toList();
    }

    private static List<Harm> lengths() {
        return List.of(refused("length of the header", MODEL, (folder, random) -> {
            Path file = any(folder, random);
            byte[] all = Files.readAllBytes(file);
            ByteBuffer b = ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN);
            long there = b.getLong(0);
            long length = one(random, List.of(0L, 1L, -1L, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 40, 1L << 31,
                    (long) all.length, all.length - 7L, there - 1, there + 1, 99_999_999L));
            b.putLong(0, length);
            Files.write(file, all);
            return length + " for " + there;
        }), refused("cut", MODEL, (folder, random) -> {
            Path file = any(folder, random);
            byte[] all = Files.readAllBytes(file);
            int end = random.nextBoolean() ? random.nextInt(all.length) : random.nextInt(20);
            Files.write(file, Arrays.copyOf(all, end));
            return "at " + end;
        }), refused("longer", MODEL, (folder, random) -> {
            Path file = any(folder, random);
            byte[] all = Files.readAllBytes(file);
            int more = 1 + random.nextInt(100);
            Files.write(file, Arrays.copyOf(all, all.length + more));
            return "by " + more;
        }), either("flipped bits of the header", MODEL, (folder, random) -> flip(any(folder, random), 4000, random)),
                either("flipped bits", MODEL,
                        (folder, random) -> flip(any(folder, random), Integer.MAX_VALUE, random)));
    }

    static String flip(Path file, int most, Random random) throws IOException {
        byte[] all = Files.readAllBytes(file);
        StringBuilder done = new StringBuilder();
        for (int i = 1 + random.nextInt(6); i > 0 && all.length > 0; i--) {
            int at = random.nextInt(Math.min(all.length, most));
            all[at] ^= (byte) (1 << random.nextInt(8));
            done.append(' ').append(at);
        }
        Files.write(file, all);
        return file.getFileName() + " at" + done;
    }

    private static List<Harm> offsets() {
        return List.of(refused("offsets", MODEL, header((parts, name, random) -> {
            JsonArray o = parts.offsets(name);
            int which = random.nextInt(2);
            long there = o.get(which).getAsLong();
            JsonElement other = one(random, List.of(json("" + (there + 1)), json("" + (there + 4)),
                    json("" + (there - 4)), json("-1"), json("1e3"), json("null"), json("\"0\""), json("[0]"),
                    json("" + Long.MAX_VALUE), json("99999999999999999999"), json("" + (there + parts.data.length))));
            o.set(which, other);
            return which + ": " + other + " for " + there;
        })), refused("offsets backwards", MODEL, header((parts, name, _) -> {
            JsonArray o = parts.offsets(name);
            JsonElement first = o.get(0);
            o.set(0, o.get(1));
            o.set(1, first);
            return "";
        })), refused("number of offsets", MODEL, header((parts, name, random) -> set(parts.header.getAsJsonObject(name),
                "data_offsets", json(one(random, List.of("[]", "[0]", "[0,4,8]", "{}", "0", "null")))))),
                refused("two at one place", MODEL, header((parts, name, random) -> {
                    parts.header.add("copy", parts.header.get(name).deepCopy());
                    return "";
                })), refused("a gap", MODEL, header((parts, name, _) -> {
                    parts.header.remove(name);
                    return "removed";
                })));
    }

    private static List<Harm> types() {
        return List.of(refused("dtype that is not read yet", MODEL, "not read yet", header((parts, name, random) -> set(
                parts.header.getAsJsonObject(name), "dtype", new JsonPrimitive(one(random, List.of("F8_E4M3", "F8_E5M2",
                        "F8_E8M0", "F4", "I16", "U32", "C64")))))),
                refused("unknown dtype", MODEL, header((parts, name, random) -> set(parts.header.getAsJsonObject(name),
                        "dtype", one(random, List.of(json("\"f32\""), json("\"FLOAT\""), json("\"\""), json("null"),
                                json("32"), json("[]"), new JsonPrimitive("x".repeat(100_000))))))),
                refused("dtype of another width", MODEL, header((parts, name, random) -> set(parts.header
                        .getAsJsonObject(name), "dtype",
                        new JsonPrimitive(one(random, List.of("F64", "I64", "U8",
                                "BOOL")))))),
                refused("integers for weights", MODEL, header((parts, name, _) -> {
                    JsonObject t = parts.header.getAsJsonObject(name);
                    if (t.get("dtype").getAsString().equals("F32")) {
                        return set(t, "dtype", new JsonPrimitive("I32"));
                    }
                    JsonArray shape = t.getAsJsonArray("shape");
                    shape.set(shape.size() - 1, new JsonPrimitive(2 * shape.get(shape.size() - 1).getAsInt()));
                    return set(t, "dtype", new JsonPrimitive("U8"));
                })),
                refused("shape", MODEL, header((parts, name, random) -> set(parts.header.getAsJsonObject(name), "shape",
                        json(one(random, List.of("[]", "[0]", "[-1]", "[1.5,2]", "[2147483648]", "[65536,65536,65536]",
                                "[4294967296,4294967296]", "[9223372036854775807,2]", "[1e2]", "null", "\"[1]\"", "{}",
                                "[null]", Collections.nCopies(1000, 1).toString(), "[" + "9".repeat(5000) + "]")))))),
                refused("shape turned", MODEL, header((parts, name, _) -> {
                    JsonArray shape = parts.header.getAsJsonObject(name).getAsJsonArray("shape");
                    shape.add(1);
                    return "one dimension more";
                })),
                refused("renamed", MODEL, header((parts, name, random) -> {
                    JsonElement tensor = parts.header.remove(name);
                    String other = one(random, List.of(name + "x", "x\n\u001b[31m" + name, "n".repeat(60_000), "",
                            "\"\\\ud800"));
                    parts.header.add(other, tensor);
                    return "";
                })),
                refused("NaN or infinity", NUMBERS, "holds NaN or infinity|are too large", (folder, random) -> {
                    String first = one(random, List.of("embed_tokens.weight", "wte.weight", "norm.weight"));
                    Parts parts = Parts.of(folder, random);
                    for (String name : parts.header.keySet()) { // a norm's weight is in every result
                        if (name.endsWith("norm.weight") || name.endsWith("ln_f.weight") || name.endsWith(first)) {
                            return bits(parts, name, random);
                        }
                    }
                    return bits(parts, parts.tensor(random), random);
                }),
                either("one that is not finite", NUMBERS, bits(0x7f800000, 0x7f80)),
                either("a huge one", MODEL, bits(Float.floatToIntBits(3e38f), 0x7bff)));
    }

    private static String bits(Parts parts, String name, Random random) throws IOException {
        int begin = parts.offsets(name).get(0).getAsInt();
        int end = parts.offsets(name).get(1).getAsInt();
        Arrays.fill(parts.data, begin, end, (byte) 0xff); // NaN in every type
        parts.write();
        return name + random.nextInt(1);
    }

    private static List<Harm> texts() {
        return List.of(
                refused("a key twice", MODEL, text(s -> s.replaceFirst("\"dtype\":", "\"shape\":[1],\"dtype\":"))),
                refused("deep header", MODEL, text(s -> "{\"x\":" + "[".repeat(100_000) + "]".repeat(100_000) + ","
                        + s.substring(1))),
                refused("list for a header", MODEL, text(_ -> "[]")),
                refused("header of nothing", MODEL, text(_ -> "{}")),
                refused("metadata that is none", MODEL, text(s -> s.replaceFirst("\"__metadata__\":\\{[^}]*}",
                        "\"__metadata__\":7"))),
                either("metadata with anything in it", MODEL, text(s -> s.replaceFirst("\"format\":\"pt\"",
                        "\"format\":null,\"a\":[1],\"b\\u0000\":\"\\ud800\""))),
                refused("rest behind the header", MODEL, text(s -> s + "x")),
                either("spaces behind the header", MODEL, text(s -> s + "   ")),
                refused("a comma too many", MODEL, text(s -> s.replaceFirst(",\"shape\"", ",,\"shape\""))),
                refused("a single quote", MODEL, text(s -> s.replaceFirst("\"dtype\"", "'dtype'"))),
                refused("a broken escape", MODEL, text(s -> s.replaceFirst("\"dtype\"", "\"\\\\u00zz\""))));
    }

    private static Harm index(String name, String told, java.util.function.BiConsumer<JsonObject, Random> change) {
        return refused("index: " + name, MODEL, told, (folder, random) -> {
            Path index = folder.resolve(Strangers.INDEX);
            if (!Files.exists(index)) { // a folder with one file: give it an index
                Files.move(folder.resolve("model.safetensors"), folder.resolve("model-1.safetensors"));
                Parts parts = Parts.of(folder, random);
                JsonObject map = new JsonObject();
                parts.header.keySet().stream().filter(n -> !n.equals("__metadata__"))
                        .forEach(n -> map.addProperty(n, "model-1.safetensors"));
                JsonObject made = new JsonObject();
                made.add("weight_map", map);
                Strangers.write(index, made);
            }
            JsonObject json = JsonParser.parseString(Files.readString(index)).getAsJsonObject();
            change.accept(json, random);
            Strangers.write(index, json);
            return "";
        });
    }

    private static String weight(JsonObject index, Random random) {
        List<String> names = new ArrayList<>(index.getAsJsonObject("weight_map").keySet());
        return names.get(random.nextInt(names.size()));
    }

    private static List<Harm> indexes() {
        return List.of(
                index("a file elsewhere", "index\\.json", (json, random) -> json.getAsJsonObject("weight_map")
                        .addProperty(weight(json, random), one(random, List.of("../model.safetensors", "/etc/passwd",
                                "/dev/zero", "sub/model.safetensors", "..", ".", "", "model.safetensors\u0000",
                                "a\\b.safetensors", "x".repeat(50_000) + ".safetensors", "pytorch_model.bin")))),
                index("a shard that is not there", "no such file", (json, random) -> json.getAsJsonObject("weight_map")
                        .addProperty(weight(json, random), "model-9.safetensors")),
                index("a weight of another name", "", (json, random) -> {
                    JsonObject map = json.getAsJsonObject("weight_map");
                    map.add("n".repeat(1 + random.nextInt(2) * 9_000) + "\n", map.remove(weight(json, random)));
                }),
                index("weight_map", "weight_map", (json, random) -> json.add("weight_map", json(one(random, List.of(
                        "null", "[]", "7", "\"model-1.safetensors\"", "{\"a\": null}", "{\"a\": 7}", "{\"a\": []}"))))),
                index("without weight_map", "weight_map", (json, _) -> json.remove("weight_map")));
    }
}
