package dev.deckle.data;

import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;

/// The tokens of a corpus, cached on disk: those to train on and those held out.
///
/// The files are named by a key: a hash of everything that decides about their content (the documents' names and texts,
/// the tokenizer, the end token). A second run with the same input finds them; another input has another key.
/// A file that is not what its key promises is built again.
///
/// @param rebuilt whether they were made now, not found
public record Tokens(TokenFile train, TokenFile validation, boolean rebuilt) implements AutoCloseable {
    /// Documents encoded between two writes: bounds the ids in memory.
    private static final long WAVE = 32L << 20;

    /// The tokens of `split`, from `folder` if they are there, otherwise encoded by all threads and put there.
    ///
    /// @param endToken follows each document
    public static Tokens prepare(Path folder, Corpus.Split split, Tokenizer tokenizer, int endToken)
            throws IOException {
        String trainKey = key(split.train(), tokenizer, endToken);
        String validationKey = key(split.validation(), tokenizer, endToken);
        Path train = folder.resolve("train-" + trainKey.substring(0, 16) + ".tokens");
        Path validation = folder.resolve("validation-" + validationKey.substring(0, 16) + ".tokens");
        boolean rebuilt = ensure(train, trainKey, split.train(), tokenizer, endToken)
                | ensure(validation, validationKey, split.validation(), tokenizer, endToken);
        TokenFile first = TokenFile.open(train, trainKey);
        try {
            return new Tokens(first, TokenFile.open(validation, validationKey), rebuilt);
        } catch (IOException | RuntimeException e) {
            first.close();
            throw e;
        }
    }

    @Override
    public void close() {
        train.close();
        validation.close();
    }

    private static String key(List<Document> documents, Tokenizer tokenizer, int endToken) throws IOException {
        String all = Corpus.fingerprint(documents) + " " + tokenizer.fingerprint() + " " + endToken;
        return HexFormat.of().formatHex(Corpus.sha256().digest(all.getBytes(StandardCharsets.US_ASCII)));
    }

    /// Builds `file` unless it is there and whole; whether it did.
    private static boolean ensure(Path file, String key, List<Document> documents, Tokenizer tokenizer, int endToken)
            throws IOException {
        try (TokenFile _ = TokenFile.open(file, key)) {
            return false;
        } catch (IOException missingOrBroken) {
            try (var writer = new TokenFile.Writer(file, tokenizer.vocabularySize())) {
                for (int from = 0; from < documents.size();) {
                    int end = from;
                    for (long bytes = 0; end < documents.size() && bytes < WAVE; end++) {
                        bytes += documents.get(end).size();
                    }
                    write(documents.subList(from, end), tokenizer, endToken, writer);
                    from = end;
                }
                writer.finish(key);
            }
            return true;
        }
    }

    private static void write(List<Document> documents, Tokenizer tokenizer, int endToken, TokenFile.Writer writer)
            throws IOException {
        int[][] ids = new int[documents.size()][];
        long[] bytes = new long[documents.size()];
        Corpus.forEach(documents, (i, text) -> {
            ids[i] = tokenizer.encodeOrdinary(text);
            bytes[i] = text.length;
        });
        for (int i = 0; i < ids.length; i++) {
            writer.document(ids[i], endToken, bytes[i]);
        }
    }
}
