package dev.deckle.tokenizer;

import java.util.Arrays;

/// Merges the symbols of one piece, the heart of byte-pair encoding: always the pair of the lowest rank, of equal ones
/// the leftmost, until no pair is in the list.
///
/// The symbols are a linked list and their possible merges wait in a heap, so that a piece of n symbols takes n log n
/// steps whatever it holds. One object serves one thread.
final class SymbolMerger {
    private final PairTable merges; // pair -> rank << 32 | merged id

    // A piece as a linked list of symbols, and a binary min-heap of its possible merges: rank << 32 | position.
    private int[] symbol = new int[64];
    private int[] previous = new int[64];
    private int[] next = new int[64];
    private long[] heap = new long[64];
    private int heapSize;

    SymbolMerger(PairTable merges) {
        this.merges = merges;
    }

    /// An array of at least `n` places, to be filled with the symbols of a piece for [#merge].
    int[] symbols(int n) {
        if (n > symbol.length) {
            symbol = new int[n];
            previous = new int[n];
            next = new int[n];
        }
        return symbol;
    }

    /// Merges the first `n` symbols and appends what is left of them; there is at least one.
    void merge(int n, IntList out) {
        for (int i = 0; i < n; i++) {
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
