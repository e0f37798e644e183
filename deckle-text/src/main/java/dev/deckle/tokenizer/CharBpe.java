package dev.deckle.tokenizer;

import java.util.HashMap;
import java.util.Map;

/// The byte-pair model on characters, as SentencePiece's models and CLIP use it. Immutable; an encoder does the work of
/// one thread.
///
/// A SentencePiece model has no pre-tokenizer: a whole text is one piece. Yet most places in it can never be inside a
/// token: where the two characters that meet stand side by side in no token of the list of merges. Cut there, the text
/// falls into words, each is found in a memory of words or merged by itself, and the result is the same.
final class CharBpe {
    private static final int UNKNOWN = -1;

    private final BpeModel model;
    private final PairTable merges;
    private final Map<Integer, Integer> idOfChar = new HashMap<>(); // without prefix and suffix
    private final int[] idOfAscii = new int[128];
    private final PairTable neighbours = new PairTable(1 << 12); // pairs of characters within tokens
    private final boolean plain;
    private final int[] byteIds;

    CharBpe(BpeModel model) {
        this.model = model;
        merges = model.mergeTable();
        plain = model.continuingPrefix().isEmpty() && model.endSuffix().isEmpty();
        byteIds = model.byteFallback() ? model.vocabulary().byteFallback() : new int[0];
        for (String token : model.vocabulary().tokens()) {
            if (token != null && !token.isEmpty() && token.codePointCount(0, token.length()) == 1) {
                idOfChar.put(token.codePointAt(0), model.vocabulary().id(token));
            }
        }
        for (int c = 0; c < idOfAscii.length; c++) {
            idOfAscii[c] = idOfChar.getOrDefault(c, UNKNOWN);
        }
        for (var merge : model.merges()) {
            int[] chars = model.vocabulary().token(merge.merged()).codePoints().toArray();
            for (int i = 0; i + 1 < chars.length; i++) {
                neighbours.put(PairTable.pair(chars[i], chars[i + 1]), 1);
            }
        }
    }

    Model.Encoder encoder() {
        return new Encoder();
    }

    private int idOf(int c) {
        return c < 128 ? idOfAscii[c] : idOfChar.getOrDefault(c, UNKNOWN);
    }

    private final class Encoder implements Model.Encoder {
        private final PieceMemory memory = new PieceMemory();
        private final SymbolMerger merger = new SymbolMerger(merges);
        private final IntList symbols = new IntList();

        @Override
        public void encode(String piece, IntList out) {
            int whole = model.ignoreMerges() ? model.vocabulary().id(piece) : Vocabulary.NONE;
            if (whole != Vocabulary.NONE) {
                out.add(whole);
                return;
            }
            if (!plain) {
                memory.encode(piece, out, this::merge);
                return;
            }
            int from = 0;
            int previous = UNKNOWN;
            for (int i = 0; i < piece.length();) {
                int c = piece.codePointAt(i);
                // beside an unknown character nothing is cut: it may become one token with the next one
                boolean known = idOf(c) != UNKNOWN;
                if (known && previous != UNKNOWN && neighbours.get(PairTable.pair(previous, c)) == PairTable.NONE) {
                    memory.encode(piece.substring(from, i), out, this::merge);
                    from = i;
                }
                previous = known ? c : UNKNOWN;
                i += Character.charCount(c);
            }
            memory.encode(piece.substring(from), out, this::merge);
        }

        private void merge(String piece, IntList out) {
            symbols.clear();
            int unknown = UNKNOWN; // the token of unknown characters that wait for what is behind them
            for (int i = 0; i < piece.length();) {
                int c = piece.codePointAt(i);
                int end = i + Character.charCount(c);
                int id = plain ? idOf(c) : model.vocabulary().id(spelled(piece, i, end));
                if (id != UNKNOWN) {
                    if (unknown != UNKNOWN) {
                        symbols.add(unknown);
                        unknown = UNKNOWN;
                    }
                    symbols.add(id);
                } else if (!addBytes(piece, i, end) && model.unknownToken() != null) {
                    if (unknown != UNKNOWN && !model.fuseUnknown()) {
                        symbols.add(unknown);
                    }
                    unknown = model.vocabulary().id(model.unknownToken());
                    if (unknown == Vocabulary.NONE) {
                        throw Model.unknown(piece.substring(i, end), "model.unk_token", model.unknownToken());
                    }
                }
                i = end;
            }
            if (unknown != UNKNOWN) {
                symbols.add(unknown);
            }
            if (symbols.size() > 0) {
                System.arraycopy(symbols.array(), 0, merger.symbols(symbols.size()), 0, symbols.size());
                merger.merge(symbols.size(), out);
            }
        }

        /// A character as the vocabulary writes it at this place of a piece.
        private String spelled(String piece, int from, int end) {
            return (from > 0 ? model.continuingPrefix() : "") + piece.substring(from, end)
                    + (end == piece.length() ? model.endSuffix() : "");
        }

        private boolean addBytes(String piece, int from, int end) {
            if (byteIds.length == 0) {
                return false;
            }
            byte[] bytes = Utf8.encode(spelled(piece, from, end));
            for (byte b : bytes) {
                if (byteIds[b & 0xFF] == Vocabulary.NONE) {
                    return false;
                }
            }
            for (byte b : bytes) {
                symbols.add(byteIds[b & 0xFF]);
            }
            return true;
        }
    }
}
