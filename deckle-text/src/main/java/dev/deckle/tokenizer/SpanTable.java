package dev.deckle.tokenizer;

import java.util.Arrays;

/// A hash set of byte strings, numbered 0, 1, 2, ... in the order in which they came. All their bytes lie end to end in
/// one array, so a string costs its length and 12 bytes, and looking one up makes no object.
final class SpanTable {
    private static final int MAX_BYTES = Integer.MAX_VALUE - 16;

    private byte[] bytes = new byte[1 << 12];
    private int[] starts = new int[1 << 9];
    private int[] hashes = new int[1 << 9];
    private int[] slots = new int[1 << 10]; // number + 1, or 0
    private int size;

    int size() {
        return size;
    }

    /// How many bytes all strings have together.
    int totalBytes() {
        return starts[size];
    }

    int length(int number) {
        return starts[number + 1] - starts[number];
    }

    /// The array in which string `number` begins at [#start]; valid until the next [#add].
    byte[] array() {
        return bytes;
    }

    int start(int number) {
        return starts[number];
    }

    /// The number of `text[from, end)`, or -1.
    int find(byte[] text, int from, int end) {
        return slots[slot(text, from, end, hash(text, from, end))] - 1;
    }

    /// The number of `text[from, end)`, which is added if it is new: then it is the last, [#size()] - 1.
    int add(byte[] text, int from, int end) {
        int hash = hash(text, from, end);
        int slot = slot(text, from, end, hash);
        if (slots[slot] != 0) {
            return slots[slot] - 1;
        }
        if (2 * (size + 1) > slots.length) {
            rehash();
            slot = slot(text, from, end, hash);
        }
        append(text, from, end - from);
        hashes[size] = hash;
        slots[slot] = ++size;
        return size - 1;
    }

    void clear() {
        Arrays.fill(slots, 0);
        size = 0;
    }

    private void append(byte[] text, int from, int length) {
        int end = starts[size];
        if (length > MAX_BYTES - end) {
            throw new IllegalStateException("more than 2 GB of different words: take a part of the corpus");
        }
        if (end + length > bytes.length) {
            bytes = Arrays.copyOf(bytes, (int) Math.min(MAX_BYTES, Math.max(end + length, bytes.length * 2L)));
        }
        System.arraycopy(text, from, bytes, end, length);
        if (size + 2 > starts.length) {
            starts = Arrays.copyOf(starts, starts.length * 2);
            hashes = Arrays.copyOf(hashes, starts.length);
        }
        starts[size + 1] = end + length;
    }

    private int slot(byte[] text, int from, int end, int hash) {
        int mask = slots.length - 1;
        int slot = hash & mask;
        for (int entry; (entry = slots[slot]) != 0; slot = slot + 1 & mask) {
            int n = entry - 1;
            if (hashes[n] == hash && Arrays.equals(bytes, starts[n], starts[n + 1], text, from, end)) {
                break;
            }
        }
        return slot;
    }

    private void rehash() {
        slots = new int[slots.length * 2];
        int mask = slots.length - 1;
        for (int n = 0; n < size; n++) {
            int slot = hashes[n] & mask;
            while (slots[slot] != 0) {
                slot = slot + 1 & mask;
            }
            slots[slot] = n + 1;
        }
    }

    private static int hash(byte[] text, int from, int end) {
        int hash = 0;
        for (int i = from; i < end; i++) {
            hash = hash * 31 + text[i];
        }
        return mix(hash);
    }

    /// The final mixer of MurmurHash3: spreads the differences of short words over the low bits.
    private static int mix(int h) {
        h = (h ^ h >>> 16) * 0x85EBCA6B;
        h = (h ^ h >>> 13) * 0xC2B2AE35;
        return h ^ h >>> 16;
    }
}
