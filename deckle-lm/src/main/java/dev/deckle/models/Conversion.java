package dev.deckle.models;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import dev.deckle.io.AtomicFile;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiFunction;
import java.util.stream.Stream;

/// A model folder written anew, as `save_pretrained` does it: the weights in one type, in shards where they are large,
/// everything else as it was. An adapter is merged into its model, and what is written is a plain model.
public final class Conversion {
    /// Where one file of weights ends and the next begins.
    public static final long SHARD_BYTES = 5_000_000_000L;

    private static final String BESIDE = ".*\\.(json|jinja|txt|model|md)|LICENSE.*|NOTICE.*|USE_POLICY.*";
    private static final String WEIGHTS = "config\\.json|.*\\.index\\.json";
    private static final String OF_ADAPTER = ".*token.*|vocab.*|merges.*|chat_template.*|generation_config\\.json";
    private static final String PARTIAL = ".partial-"; // and the number of the process that writes it
    private static final String TEMPLATES = "additional_chat_templates";

    private Conversion() {}

    /// Writes the model or adapter in folder `from` to folder `target`, whole or not at all. It must open as a model:
    /// names and shapes are checked. Until it is whole it is called `NAME.partial-PID`; what a process that was killed
    /// left under such a name is deleted here. Weights that the model does not use, such as those for predicting
    /// several tokens, come along.
    ///
    /// @param target must not exist, or be empty
    /// @param dtype of all floating-point weights; as they are if empty
    /// @param shardBytes where a file of weights ends, usually [#SHARD_BYTES]
    /// @throws IOException in one line naming the file
    /// @throws IllegalArgumentException if a file does not fit another, or a number does not fit its type
    public static void convert(Path from, Path target, Optional<DType> dtype, long shardBytes) throws IOException {
        Path to = target.toAbsolutePath().normalize();
        Models.open(from).close();
        if (Files.exists(to) && !isEmpty(to)) {
            throw new IOException(to + ": is there already and not empty: give another folder");
        }
        Optional<Adapter> adapter = Adapter.is(from) ? Optional.of(Adapter.open(from)) : Optional.empty();
        Path base = adapter.map(Adapter::base).orElse(from);
        JsonObject config = ConfigReader.ofModel(base).json();
        dtype.ifPresent(t -> {
            config.remove("torch_dtype"); // what it was called before
            config.addProperty("dtype", name(t));
        });
        deleteOrphans(to);
        Path partial = to.resolveSibling(to.getFileName() + PARTIAL + ProcessHandle.current().pid());
        try (ModelMemory memory = new ModelMemory()) {
            Files.createDirectories(partial);
            Map<String, Tensor> weights = WeightFiles.open(base, memory);
            if (adapter.isPresent()) {
                Merge merge = Merge.of(adapter.get().read(memory, false), weights, config);
                WeightFiles.save(partial, merge.weights(), target(dtype), shardBytes, merge::merged);
                copyBeside(base, partial);
                copyWords(from, partial);
            } else {
                WeightFiles.save(partial, weights, target(dtype), shardBytes, (_, t) -> t);
                copyBeside(from, partial);
            }
            var gson = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().serializeNulls().create();
            AtomicFile.write(partial.resolve("config.json"), gson.toJson(config) + "\n");
            Files.deleteIfExists(to);
            Files.move(partial, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (IllegalArgumentException e) {
            throw e.getMessage().startsWith(from.toString()) ? e
                    : new IllegalArgumentException(from + ": " + e.getMessage(), e);
        } finally {
            delete(partial);
        }
    }

    /// The bias that chooses experts is kept in F32, as transformers does: its steps are smaller than BF16's.
    private static BiFunction<String, Tensor, DType> target(Optional<DType> dtype) {
        return (name, t) -> dtype.filter(_ -> t.dtype().floating())
                .map(d -> name.endsWith("e_score_correction_bias") ? DType.F32 : d)
                .orElse(t.dtype());
    }

    /// As `config.json` spells it.
    private static String name(DType t) {
        return switch (t) {
            case F32 -> "float32";
            case F16 -> "float16";
            case BF16 -> "bfloat16";
            case F64, I64, I32, U8, BOOL -> throw new IllegalArgumentException("weights cannot be "
                    + t.name().toLowerCase(Locale.ROOT) + ": expected f32, bf16 or f16");
        };
    }

    /// Copies what goes with a model besides its weights and its `config.json`: tokenizer, chat templates, generation
    /// settings, licence. What is there is replaced.
    public static void copyBeside(Path from, Path to) throws IOException {
        copyBeside(from, to, BESIDE);
    }

    /// Copies what goes with an adapter: tokenizer, chat templates, generation settings of the model below.
    public static void copyWords(Path from, Path to) throws IOException {
        copyBeside(from, to, OF_ADAPTER);
    }

    private static void copyBeside(Path from, Path to, String names) throws IOException {
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                String name = file.getFileName().toString();
                if (name.matches(names) && name.matches(BESIDE) && !name.matches(WEIGHTS)) {
                    Files.copy(file, to.resolve(name), StandardCopyOption.REPLACE_EXISTING);
                }
            }
        }
        if (Files.isDirectory(from.resolve(TEMPLATES))) {
            Files.createDirectories(to.resolve(TEMPLATES));
            try (Stream<Path> files = Files.list(from.resolve(TEMPLATES))) {
                for (Path file : files.filter(f -> f.toString().endsWith(".jinja") && Files.isRegularFile(f))
                        .toList()) {
                    Files.copy(file, to.resolve(TEMPLATES).resolve(file.getFileName()),
                            StandardCopyOption.REPLACE_EXISTING);
                }
            }
        }
    }

    private static boolean isEmpty(Path folder) throws IOException {
        if (!Files.isDirectory(folder)) {
            return false;
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.findAny().isEmpty();
        }
    }

    private static void deleteOrphans(Path to) throws IOException {
        Path beside = to.toAbsolutePath().getParent();
        if (beside == null || !Files.isDirectory(beside)) {
            return;
        }
        try (DirectoryStream<Path> all = Files.newDirectoryStream(beside)) {
            for (Path folder : all) {
                String name = folder.getFileName().toString();
                String pid = name.startsWith(to.getFileName() + PARTIAL)
                        ? name.substring(to.getFileName().toString().length() + PARTIAL.length())
                        : "";
                if (pid.matches("\\d{1,18}") && ProcessHandle.of(Long.parseLong(pid)).isEmpty()) {
                    delete(folder);
                }
            }
        }
    }

    private static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            Files.walkFileTree(folder, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                    Files.delete(file);
                    return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult postVisitDirectory(Path dir, IOException e) throws IOException {
                    Files.delete(dir);
                    return FileVisitResult.CONTINUE;
                }
            });
        }
    }
}
