package dev.deckle.tokenizer;

import java.util.Arrays;

/// The byte-pair model on bytes, as GPT-2 and Llama 3 use it (Radford et al., 2019). Immutable; an [Encoder] does the
/// work of one thread.
final class Bpe {
    private final int[] idOfByte = new int[256];
    private final PairTable merges; // pair -> rank << 32 | merged id
    private final SpanTable wholeWords; // with ignore_merges: a piece that is a token is taken whole
    private final int[] idOfWholeWord;

    /// @param model one that [BpeModel#hasAllBytes]
    Bpe(BpeModel model) {
        String[] vocabulary = model.vocabulary().tokens();
        wholeWords = new SpanTable();
        idOfWholeWord = new int[model.ignoreMerges() ? vocabulary.length : 0];
        for (int id = 0; id < vocabulary.length; id++) {
            if (vocabulary[id] == null || !ByteAlphabet.spells(vocabulary[id])) {
                continue;
            }
            byte[] bytes = ByteAlphabet.toBytes(vocabulary[id]);
            if (bytes.length == 1) {
                idOfByte[bytes[0] & 0xFF] = id;
            }
            if (model.ignoreMerges()) {
                idOfWholeWord[wholeWords.add(bytes, 0, bytes.length)] = id;
            }
        }
        merges = model.mergeTable();
    }

    /// Turns pieces into ids, one thread at a time. Remembers the pieces it has met: text repeats its words, so nearly
    /// all are found. The memory is bounded by forgetting everything when it is full; what is common is soon back.
    final class Encoder {
        private static final int MAX_WORDS = 1 << 16;
        private static final int MAX_WORD_BYTES = 48; // longer pieces are rarely met twice
        private static final int MAX_BYTES = 1 << 20;

        private final SpanTable known = new SpanTable();
        private final IntList knownIds = new IntList();
        private int[] knownFrom = new int[1 << 9]; // where in knownIds the ids of each known piece begin

        private final SymbolMerger merger = new SymbolMerger(merges);

        /// Appends the ids of the piece `text[from, end)`.
        void encode(byte[] text, int from, int end, IntList out) {
            if (end - from == 1) {
                out.add(idOfByte[text[from] & 0xFF]);
                return;
            }
            if (end - from > MAX_WORD_BYTES) {
                merge(text, from, end, out);
                return;
            }
            int word = known.find(text, from, end);
            if (word < 0) {
                if (known.size() == MAX_WORDS || known.totalBytes() > MAX_BYTES) {
                    known.clear();
                    knownIds.clear();
                }
                word = known.add(text, from, end);
                if (word + 1 == knownFrom.length) {
                    knownFrom = Arrays.copyOf(knownFrom, knownFrom.length * 2);
                }
                merge(text, from, end, knownIds);
                knownFrom[word + 1] = knownIds.size();
            }
            out.addAll(knownIds.array(), knownFrom[word], knownFrom[word + 1] - knownFrom[word]);
        }

        /// How many pieces are remembered now.
        int remembered() {
            return known.size();
        }

        private void merge(byte[] text, int from, int end, IntList out) {
            int whole = idOfWholeWord.length > 0 ? wholeWords.find(text, from, end) : -1;
            if (whole >= 0) {
                out.add(idOfWholeWord[whole]);
                return;
            }
            int n = end - from;
            int[] symbols = merger.symbols(n);
            for (int i = 0; i < n; i++) {
                symbols[i] = idOfByte[text[from + i] & 0xFF];
            }
            merger.merge(n, out);
        }
    }
}
