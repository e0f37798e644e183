package dev.deckle.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// The unigram language model of SentencePiece (Kudo, 2018): of all ways to cut a piece into tokens, the one whose
/// scores, which are logarithms of probabilities, have the largest sum (Viterbi's algorithm).
///
/// A character that is no token may be taken as unknown, for ten less than the lowest score. Unknown characters side by
/// side become one unknown token or, with byte fallback, the tokens of their bytes. Time is linear in the text: from
/// each character the walk down the trie is no longer than the longest token.
final class Unigram implements Model {
    private static final double UNKNOWN_PENALTY = 10;

    private final Vocabulary vocabulary;
    private final double[] scores;
    private final int unknown;
    private final int[] byteIds; // empty without byte fallback
    private final ByteTrie trie = new ByteTrie();
    private final double unknownScore;

    /// @param unknown the id of the unknown token, or [Vocabulary#NONE]
    Unigram(Vocabulary vocabulary, double[] scores, int unknown, boolean byteFallback) {
        this.vocabulary = vocabulary;
        this.scores = scores;
        this.unknown = unknown;
        byteIds = byteFallback ? vocabulary.byteFallback() : new int[0];
        for (int id = 0; id < scores.length; id++) {
            trie.put(Utf8.encode(vocabulary.token(id)), id);
        }
        unknownScore = Arrays.stream(scores).min().orElse(0) - UNKNOWN_PENALTY;
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }

    @Override
    public Encoder encoder() {
        return new Viterbi();
    }

    private final class Viterbi implements Encoder {
        private final PieceMemory memory = new PieceMemory();
        // The best way to each position: its score, where its last token begins (-1: no way) and which it is.
        private double[] best = new double[64];
        private int[] from = new int[64];
        private int[] last = new int[64];

        @Override
        public void encode(String piece, IntList out) {
            memory.encode(piece, out, this::search);
        }

        private void search(String piece, IntList out) {
            byte[] text = Utf8.encode(piece);
            int n = text.length;
            if (n + 1 > best.length) {
                best = new double[n + 1];
                from = new int[n + 1];
                last = new int[n + 1];
            }
            Arrays.fill(from, 0, n + 1, -1);
            best[0] = 0;
            for (int i = 0; i < n;) {
                int next = i + Utf8.length(text[i]);
                boolean single = false; // is the character at i a token?
                int node = ByteTrie.ROOT;
                for (int j = i; j < n;) {
                    node = trie.child(node, text[j++]);
                    if (node == ByteTrie.NONE) {
                        break;
                    }
                    int id = trie.number(node);
                    if (id != ByteTrie.NONE) {
                        reach(j, i, id, scores[id]);
                        single |= j == next;
                    }
                }
                if (!single) {
                    if (unknown == Vocabulary.NONE && (from[next] < 0 || best[i] + unknownScore > best[next])) {
                        throw Model.unknown(new String(text, i, next - i, StandardCharsets.UTF_8),
                                "model.unk_id", null);
                    }
                    reach(next, i, unknown, unknownScore);
                }
                i = next;
            }
            emit(text, n, out);
        }

        private void reach(int end, int start, int id, double score) {
            double sum = score + best[start];
            if (from[end] < 0 || sum > best[end]) {
                best[end] = sum;
                from[end] = start;
                last[end] = id;
            }
        }

        /// The tokens of the best way, from its end to its beginning turned round, unknown ones side by side as one.
        private void emit(byte[] text, int n, IntList out) {
            var ends = new IntList();
            for (int end = n; end > 0;) {
                ends.add(end);
                int id = last[end];
                end = from[end];
                while (id == unknown && end > 0 && last[end] == unknown) {
                    end = from[end];
                }
                ends.add(end);
            }
            for (int k = ends.size() - 2; k >= 0; k -= 2) {
                int end = ends.get(k);
                int start = ends.get(k + 1);
                if (last[end] != unknown) {
                    out.add(vocabulary.id(vocabulary.token(last[end])));
                } else {
                    unknown(text, start, end, out);
                }
            }
        }

        private void unknown(byte[] text, int start, int end, IntList out) {
            int id = vocabulary.id(Utf8.decode(text, start, end)); // characters together may be a token after all
            if (id != Vocabulary.NONE) {
                out.add(id);
                return;
            }
            boolean bytes = byteIds.length > 0;
            for (int i = start; i < end && bytes; i++) {
                bytes = byteIds[text[i] & 0xFF] != Vocabulary.NONE;
            }
            if (!bytes) {
                out.add(unknown);
                return;
            }
            for (int i = start; i < end; i++) {
                out.add(byteIds[text[i] & 0xFF]);
            }
        }
    }
}
