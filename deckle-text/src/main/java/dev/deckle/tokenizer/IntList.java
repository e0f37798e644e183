package dev.deckle.tokenizer;

import java.util.Arrays;

/// Ints that grow, without boxes.
final class IntList {
    private int[] items = {};
    private int size;

    void add(int item) {
        if (size == items.length) {
            items = Arrays.copyOf(items, grown(size));
        }
        items[size++] = item;
    }

    void addAll(int[] source, int from, int n) {
        if (size + n > items.length) {
            items = Arrays.copyOf(items, Math.max(size + n, grown(size)));
        }
        System.arraycopy(source, from, items, size, n);
        size += n;
    }

    int get(int i) {
        return items[i];
    }

    int size() {
        return size;
    }

    void clear() {
        size = 0;
    }

    /// The backing array, of which the first [#size()] count; for copying within.
    int[] array() {
        return items;
    }

    int[] toArray() {
        return Arrays.copyOf(items, size);
    }

    private static int grown(int size) {
        return Math.max(4, size + (size >> 1));
    }
}
