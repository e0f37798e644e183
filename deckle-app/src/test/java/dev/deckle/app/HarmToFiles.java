package dev.deckle.app;

import static dev.deckle.app.Harm.accepted;
import static dev.deckle.app.Harm.either;
import static dev.deckle.app.Harm.refused;

import dev.deckle.app.Harm.Part;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;

/// What can be in the place of a file, and what folders hold in place of a model.
final class HarmToFiles {
    private static final Map<String, Part> FILES = new LinkedHashMap<>();

    static {
        FILES.put("config.json", Part.MODEL);
        FILES.put("model.safetensors", Part.MODEL);
        FILES.put("tokenizer.json", Part.TOKENIZER);
        FILES.put("tokenizer_config.json", Part.CHAT);
        FILES.put("chat_template.jinja", Part.CHAT);
        FILES.put("generation_config.json", Part.GENERATION);
    }

    private HarmToFiles() {}

    static List<Harm> all() throws IOException {
        List<Harm> all = new ArrayList<>();
        FILES.forEach((file, part) -> all.addAll(inPlaceOf(file, part)));
        all.add(accepted("every file a link, as in a cache", Part.MODEL, (folder, _) -> links(folder)));
        all.add(accepted("every file a link, as in a cache", Part.TOKENIZER, (folder, _) -> links(folder)));
        all.add(either("odd files beside", Part.MODEL, HarmToFiles::odd));
        all.addAll(foreign());
        return all;
    }

    private static Path cleared(Path folder, String file) throws IOException {
        Path path = folder.resolve(file);
        Files.deleteIfExists(path);
        return path;
    }

    private static Harm link(String file, Part part, String to) {
        return refused(file + ": a link to " + to, part, (folder, _) -> {
            Files.createSymbolicLink(cleared(folder, file), Path.of(to));
            return "";
        });
    }

    private static List<Harm> inPlaceOf(String file, Part part) {
        return List.of(
                link(file, part, "/dev/zero"),
                link(file, part, "/dev/tty"),
                link(file, part, "/"),
                link(file, part, file),
                link(file, part, "nowhere"),
                refused(file + ": a pipe", part, (folder, _) -> {
                    pipe(cleared(folder, file));
                    return "";
                }),
                refused(file + ": a folder", part, (folder, _) -> {
                    Files.createDirectory(cleared(folder, file));
                    return "";
                }),
                refused(file + ": a link to a pipe", part, (folder, _) -> {
                    pipe(folder.resolve("pipe"));
                    Files.createSymbolicLink(cleared(folder, file), Path.of("pipe"));
                    return "";
                }),
                either(file + ": missing", part, (folder, _) -> {
                    cleared(folder, file);
                    return "";
                }),
                either(file + ": empty", part, (folder, _) -> {
                    Files.write(folder.resolve(file), new byte[0]);
                    return "";
                }),
                either(file + ": another file", part, (folder, random) -> {
                    List<String> others = new ArrayList<>(FILES.keySet());
                    String other = others.get(random.nextInt(others.size()));
                    if (!other.equals(file) && Files.exists(folder.resolve(other))) {
                        Files.write(folder.resolve(file), Files.readAllBytes(folder.resolve(other)));
                    }
                    return other;
                }));
    }

    private static void pipe(Path file) throws IOException {
        try {
            if (new ProcessBuilder("mkfifo", file.toString()).start().waitFor() != 0) {
                throw new IOException("no pipe " + file);
            }
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }

    private static String links(Path folder) throws IOException {
        Path blobs = Files.createDirectory(folder.resolveSibling(folder.getFileName() + ".blobs"));
        List<Path> all;
        try (Stream<Path> files = Files.list(folder)) {
            all = files.toList();
        }
        for (Path file : all) {
            Path blob = blobs.resolve(Integer.toHexString(file.getFileName().hashCode()));
            Files.move(file, blob);
            Files.createSymbolicLink(file, folder.relativize(blob));
        }
        return "";
    }

    /// What a copy of "everything else" must not follow.
    private static String odd(Path folder, Random random) throws IOException {
        Files.createSymbolicLink(folder.resolve("README.md"), Path.of("/dev/zero"));
        Files.createSymbolicLink(folder.resolve("vocab.json"), Path.of("vocab.json"));
        pipe(folder.resolve("merges.txt"));
        Path templates = Files.createDirectory(folder.resolve("additional_chat_templates"));
        if (random.nextBoolean()) {
            pipe(templates.resolve("rag.jinja"));
        } else {
            Files.createSymbolicLink(templates.resolve("rag.jinja"), Path.of("/dev/zero"));
        }
        Files.createDirectory(templates.resolve("more.jinja"));
        return "";
    }

    private static Harm only(String file, String text, String told) {
        return only(file, text, told, Part.MODEL);
    }

    private static Harm only(String file, String text, String told, Part part) {
        return refused("nothing but " + file, part, told, (folder, random) -> {
            boolean config = random.nextBoolean() && Files.exists(folder.resolve("config.json"));
            List<Path> all;
            try (Stream<Path> files = Files.list(folder)) {
                all = files.toList();
            }
            for (Path f : all) {
                if (!config || !f.endsWith("config.json")) {
                    Files.delete(f);
                }
            }
            Files.writeString(folder.resolve(file), text);
            return config ? "and config.json" : "";
        });
    }

    private static List<Harm> foreign() {
        return List.of(
                only("model-Q4_K_M.gguf", "GGUF", "GGUF"),
                only("pytorch_model.bin", "PK", "pickle"),
                only("pytorch_model.bin.index.json", "{}", "pickle"),
                only("consolidated.00.pth", "PK", "pickle"),
                only("tf_model.h5", "", "TensorFlow"),
                only("flax_model.msgpack", "", "Flax"),
                only("model.onnx", "", "ONNX"),
                only("adapter_model.safetensors", "", "adapter"),
                only("adapter_config.json", "{\"base_model_name_or_path\": \"meta-llama/Llama-3.2-1B\"}",
                        "adapter.*meta-llama/Llama-3.2-1B"),
                only("adapter_config.json", "{\"base_model_name_or_path\": \"" + "x\\u001b".repeat(1000) + "\"}",
                        "adapter"),
                only("adapter_config.json", "[", "adapter"),
                only("tokenizer.model", "", "tokenizer\\.(model|json)|config\\.json", Part.TOKENIZER),
                only("vocab.json", "{}", "tokenizer\\.json|config\\.json", Part.TOKENIZER),
                only("consolidated.safetensors", "", "consolidated\\.safetensors"),
                only("README.md", "", ""));
    }
}
