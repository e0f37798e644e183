package dev.deckle.tokenizer;

import java.util.Arrays;
import java.util.List;

/// The byte-pair model: which bytes each id stands for and which pairs of ids merge, in which order (Sennrich et al.,
/// 2016; over bytes: Radford et al., 2019). Immutable; an [Encoder] does the work of one thread.
final class Bpe {
    /// One merge: of all pairs present, the one of lowest rank (its index in the list) is merged first.
    record Merge(int left, int right, int merged) {}

    private final int[] idOfByte = new int[256];
    private final PairTable merges; // pair -> rank << 32 | merged id
    private final SpanTable wholeWords; // with ignore_merges: a piece that is a token is taken whole
    private final int[] idOfWholeWord;

    Bpe(TokenizerJson.Definition definition) {
        String[] vocabulary = definition.vocabulary();
        wholeWords = new SpanTable();
        idOfWholeWord = new int[definition.ignoreMerges() ? vocabulary.length : 0];
        for (int id = 0; id < vocabulary.length; id++) {
            if (vocabulary[id] == null || !ByteAlphabet.spells(vocabulary[id])) {
                continue;
            }
            byte[] bytes = ByteAlphabet.toBytes(vocabulary[id]);
            if (bytes.length == 1) {
                idOfByte[bytes[0] & 0xFF] = id;
            }
            if (definition.ignoreMerges()) {
                idOfWholeWord[wholeWords.add(bytes, 0, bytes.length)] = id;
            }
        }
        List<Merge> list = definition.merges();
        merges = new PairTable(list.size());
        for (int rank = 0; rank < list.size(); rank++) { // of two equal pairs the last counts, as elsewhere
            Merge m = list.get(rank);
            merges.put(PairTable.pair(m.left, m.right), (long) rank << 32 | m.merged);
        }
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

        // A piece as a linked list of symbols, and a binary min-heap of its possible merges: rank << 32 | position.
        private int[] symbol = new int[64];
        private int[] previous = new int[64];
        private int[] next = new int[64];
        private long[] heap = new long[64];
        private int heapSize;

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

        /// Merges until no pair is in the list: always the lowest rank, of equal ones the leftmost. With the heap a
        /// piece of n bytes takes n log n steps, so no text is slow, whatever its pieces.
        private void merge(byte[] text, int from, int end, IntList out) {
            int whole = idOfWholeWord.length > 0 ? wholeWords.find(text, from, end) : -1;
            if (whole >= 0) {
                out.add(idOfWholeWord[whole]);
                return;
            }
            int n = end - from;
            if (n > symbol.length) {
                symbol = new int[n];
                previous = new int[n];
                next = new int[n];
            }
            for (int i = 0; i < n; i++) {
                symbol[i] = idOfByte[text[from + i] & 0xFF];
                previous[i] = i - 1;
                next[i] = i + 1 < n ? i + 1 : -1;
            }
            heapSize = 0;
            for (int i = 0; i + 1 < n; i++) {
                consider(i);
            }
            while (heapSize > 0) {
                long best = pop();
                int i = (int) best;
                int j = next[i];
                long merge = j < 0 ? PairTable.NONE : merges.get(PairTable.pair(symbol[i], symbol[j]));
                if (merge == PairTable.NONE || merge >>> 32 != best >>> 32) {
                    continue; // another merge has changed this pair, or taken one of its symbols and left -1
                }
                symbol[i] = (int) merge;
                symbol[j] = -1;
                next[i] = next[j];
                if (next[i] >= 0) {
                    previous[next[i]] = i;
                    consider(i);
                }
                if (previous[i] >= 0) {
                    consider(previous[i]);
                }
            }
            for (int i = 0; i >= 0; i = next[i]) {
                out.add(symbol[i]);
            }
            if (n > 1 << 16) { // one huge piece must not be paid for ever after
                symbol = new int[64];
                previous = new int[64];
                next = new int[64];
                heap = new long[64];
            }
        }

        /// Puts the merge of the symbol at `i` with the next one on the heap, if it exists.
        private void consider(int i) {
            long merge = merges.get(PairTable.pair(symbol[i], symbol[next[i]]));
            if (merge != PairTable.NONE) {
                push(merge >>> 32 << 32 | i);
            }
        }

        private void push(long item) {
            if (heapSize == heap.length) {
                heap = Arrays.copyOf(heap, heapSize * 2);
            }
            int i = heapSize++;
            while (i > 0 && heap[(i - 1) / 2] > item) {
                heap[i] = heap[(i - 1) / 2];
                i = (i - 1) / 2;
            }
            heap[i] = item;
        }

        private long pop() {
            long top = heap[0];
            long item = heap[--heapSize];
            int i = 0;
            for (int child; (child = 2 * i + 1) < heapSize; i = child) {
                if (child + 1 < heapSize && heap[child + 1] < heap[child]) {
                    child++;
                }
                if (heap[child] >= item) {
                    break;
                }
                heap[i] = heap[child];
            }
            heap[i] = item;
            return top;
        }
    }
}
