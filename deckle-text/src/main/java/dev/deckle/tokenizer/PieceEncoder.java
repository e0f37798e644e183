package dev.deckle.tokenizer;

import dev.deckle.tokenizer.PreTokenizer.Behavior;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/// Pre-tokenizer and model as one: what one thread needs to turn normalised text without added tokens into ids.
sealed interface PieceEncoder {
    /// Appends the ids of `text[from, end)`.
    ///
    /// @param first whether the whole text began here
    void encode(byte[] text, int from, int end, boolean first, IntList out);

    /// Makes encoders for one definition. Tokenizers of bytes with a known expression, which most models have, run
    /// without an object per piece; those with others still merge bytes and not characters.
    static Supplier<PieceEncoder> of(TokenizerJson.Definition definition) {
        var stages = new ArrayList<PreTokenizer>();
        flatten(definition.preTokenizer(), stages);
        if (definition.model() instanceof BpeModel model && model.hasAllBytes() && !stages.isEmpty()
                && stages.removeLast() instanceof PreTokenizer.ByteLevel last) {
            var bpe = new Bpe(model);
            Optional<PieceScanner> scanner = scanner(stages, last);
            if (scanner.isPresent()) {
                return () -> new OfBytes(scanner.get(), bpe.new Encoder());
            }
            stages.add(new PreTokenizer.ByteLevel(last.addPrefixSpace(), last.useRegex(), false));
            var pieces = new PreTokenizer.Sequence(stages);
            return () -> {
                Bpe.Encoder encoder = bpe.new Encoder();
                return new OfText(pieces, (piece, out) -> {
                    byte[] bytes = piece.getBytes(StandardCharsets.UTF_8);
                    encoder.encode(bytes, 0, bytes.length, out);
                });
            };
        }
        return () -> new OfText(definition.preTokenizer(), definition.model().encoder());
    }

    private static void flatten(PreTokenizer stage, List<PreTokenizer> out) {
        if (stage instanceof PreTokenizer.Sequence(List<PreTokenizer> stages)) {
            stages.forEach(s -> flatten(s, out));
        } else {
            out.add(stage);
        }
    }

    /// The scanner that does what `stages` and then `last` do, if there is one.
    private static Optional<PieceScanner> scanner(List<PreTokenizer> stages, PreTokenizer.ByteLevel last) {
        if (last.addPrefixSpace()) {
            return Optional.empty();
        }
        if (stages.isEmpty() && last.useRegex()) {
            return Optional.of(new PieceScanner.Gpt2());
        }
        if (stages.size() == 1 && !last.useRegex()
                && stages
                        .getFirst() instanceof PreTokenizer.Split(var pattern, var behavior, var invert)
                && pattern instanceof TextPattern.Expression(Regex regex) && behavior == Behavior.ISOLATED && !invert) {
            return PieceScanner.ofRegex(regex.source());
        }
        return Optional.empty();
    }

    /// On bytes from beginning to end.
    record OfBytes(PieceScanner scanner, Bpe.Encoder encoder) implements PieceEncoder {
        @Override
        public void encode(byte[] text, int from, int end, boolean first, IntList out) {
            for (int i = from; i < end;) {
                int pieceEnd = scanner.pieceEnd(text, i, end);
                encoder.encode(text, i, pieceEnd, out);
                i = pieceEnd;
            }
        }
    }

    /// Through strings. Bytes that are not UTF-8 are U+FFFD here.
    record OfText(PreTokenizer preTokenizer, Model.Encoder encoder) implements PieceEncoder {
        @Override
        public void encode(byte[] text, int from, int end, boolean first, IntList out) {
            var whole = new PreTokenizer.Piece(Utf8.decode(text, from, end), first);
            preTokenizer.split(whole, piece -> {
                if (!piece.text().isEmpty()) {
                    encoder.encode(piece.text(), out);
                }
            });
        }
    }
}
