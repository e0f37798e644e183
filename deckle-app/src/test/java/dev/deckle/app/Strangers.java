package dev.deckle.app;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.models.Conversion;
import dev.deckle.tensor.DType;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// Model folders as they come from anywhere, before a [Harm] is done to them: the tiny checkpoints of all families,
/// some in shards or half precision, each with a tokenizer of one kind and a chat template.
final class Strangers {
    static final String INDEX = "model.safetensors.index.json";

    /// Of at most 83 tokens, the smallest vocabulary of the checkpoints.
    private static final String BYTES = """
            {"version": "1.0",
             "added_tokens": [
               {"id": 0, "content": "<unk>", "special": true, "normalized": false, "lstrip": false, "rstrip": false,
                "single_word": false},
               {"id": 1, "content": "<s>", "special": true, "normalized": false, "lstrip": false, "rstrip": false,
                "single_word": false},
               {"id": 2, "content": "</s>", "special": true, "normalized": false, "lstrip": false, "rstrip": false,
                "single_word": false}],
             "normalizer": null,
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
               {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|\\\\p{L}+|\\\\p{N}{1,3}| ?[^\\\\s\\\\p{L}]+|\\\\s+"},
                "behavior": "Isolated", "invert": false},
               {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
             "post_processor": {"type": "TemplateProcessing",
               "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
               "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
               "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
             "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
             "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
               "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
               "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, LETTERS, "th": 40, "the": 41, "at": 42, "cat": 43},
               "merges": [["t", "h"], ["th", "e"], ["a", "t"], ["c", "at"]]}}
            """;

    private static final String PIECES = """
            {"version": "1.0",
             "added_tokens": [{"id": 2, "content": "</s>", "special": true, "normalized": false, "lstrip": false,
               "rstrip": false, "single_word": false}],
             "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"},
               {"type": "Replace", "pattern": {"String": "``"}, "content": "\\""}, {"type": "Lowercase"}]},
             "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": true},
             "post_processor": null,
             "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": true},
             "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": [["<unk>", 0.0], ["<s>", 0.0],
               ["</s>", 0.0], ["\u2581", -2.0], ["\u2581the", -3.0], ["\u2581cat", -3.5], ["c", -6.0], ["a", -6.1],
               ["t", -6.2], ["h", -6.3], ["e", -6.4], ["s", -6.5]]}}
            """;

    private static final String WORDS = """
            {"version": "1.0",
             "added_tokens": [{"id": 1, "content": "[CLS]", "special": true, "normalized": false, "lstrip": false,
               "rstrip": false, "single_word": false}],
             "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
               "strip_accents": null, "lowercase": true},
             "pre_tokenizer": {"type": "BertPreTokenizer"},
             "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
             "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
               "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "the": 3, "c": 4,
               "##at": 5, "##s": 6, "##a": 7, "##t": 8}}}
            """;

    static final String TEMPLATE = "{{ bos_token }}{% for m in messages %}{% if loop.first and m.role == 'system' %}"
            + "{{ m.content | trim }}\n{% else %}{{ m['role'] + ': ' + m['content'] }}\n{% endif %}{% endfor %}"
            + "{% if add_generation_prompt %}assistant: {% endif %}";

    private static final Pattern HALF = Pattern.compile("\\p{Cs}");

    private Strangers() {}

    /// Makes them, each in a folder of its own.
    static List<Path> make(Path checkpoints, Path into) throws IOException {
        List<Path> made = new ArrayList<>();
        List<Path> all;
        try (Stream<Path> folders = Files.list(checkpoints)) {
            all = folders.sorted().toList();
        }
        for (int i = 0; i < all.size(); i++) {
            Path from = all.get(i);
            Path plain = into.resolve(from.getFileName().toString());
            copy(from, plain);
            Files.deleteIfExists(plain.resolve("golden.json"));
            writeTokenizer(plain, i);
            made.add(plain);
            if (i % 3 == 0) { // in shards, and not in F32
                Path shards = into.resolve(from.getFileName() + "-shards");
                Conversion.convert(plain, shards, Optional.of(i % 2 == 0 ? DType.BF16 : DType.F16), 40_000);
                made.add(shards);
            }
        }
        return made;
    }

    private static void writeTokenizer(Path folder, int kind) throws IOException {
        StringBuilder letters = new StringBuilder("\"\u0120\": 30");
        for (char c = 'a'; c <= 'z'; c++) {
            letters.append(", \"").append(c).append("\": ").append(3 + c - 'a');
        }
        Files.writeString(folder.resolve("tokenizer.json"), switch (kind % 3) {
            case 0 -> BYTES.replace("LETTERS", letters);
            case 1 -> PIECES;
            default -> WORDS;
        });
        JsonObject config = JsonParser.parseString("""
                {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "model_max_length": 512,
                 "clean_up_tokenization_spaces": false, "add_bos_token": true, "tokenizer_class":
                 "PreTrainedTokenizerFast"}""").getAsJsonObject();
        if (kind % 2 == 0) {
            Files.writeString(folder.resolve("chat_template.jinja"), TEMPLATE);
        } else {
            config.addProperty("chat_template", TEMPLATE);
        }
        Files.writeString(folder.resolve("tokenizer_config.json"), config.toString());
    }

    /// Half a pair of surrogates stays an escape: it has no UTF-8.
    static String text(JsonElement json) {
        return HALF.matcher(json.toString()).replaceAll(m -> String.format("\\\\u%04x", (int) m.group().charAt(0)));
    }

    static void write(Path file, JsonElement json) throws IOException {
        Files.writeString(file, text(json));
    }

    static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
    }

    static void delete(Path folder) throws IOException {
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
