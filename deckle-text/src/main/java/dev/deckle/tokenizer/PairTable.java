package dev.deckle.tokenizer;

import java.util.Arrays;

/// A hash table from a pair of ids to a number: open addressing, at most half full, nothing is ever removed.
final class PairTable {
    /// What [#get] says of a pair that is not there; no value may be negative.
    static final long NONE = -1;

    private long[] keys;
    private long[] values;
    private int size;

    PairTable(int expected) {
        int capacity = Integer.highestOneBit(Math.max(8, expected) * 2 - 1) << 1;
        keys = new long[capacity];
        values = new long[capacity];
        Arrays.fill(values, NONE);
    }

    static long pair(int left, int right) {
        return (long) left << 32 | right & 0xFFFFFFFFL;
    }

    static int left(long pair) {
        return (int) (pair >>> 32);
    }

    static int right(long pair) {
        return (int) pair;
    }

    long get(long pair) {
        return values[slot(pair)];
    }

    void put(long pair, long value) {
        int slot = slot(pair);
        if (values[slot] == NONE) {
            if (2 * ++size > keys.length) {
                grow();
                slot = slot(pair);
            }
            keys[slot] = pair;
        }
        values[slot] = value;
    }

    private int slot(long pair) {
        int mask = keys.length - 1;
        long mixed = pair * 0x9E3779B97F4A7C15L; // Fibonacci hashing: the high bits are the good ones
        int slot = (int) (mixed >>> 32) & mask;
        while (values[slot] != NONE && keys[slot] != pair) {
            slot = slot + 1 & mask;
        }
        return slot;
    }

    private void grow() {
        long[] oldKeys = keys;
        long[] oldValues = values;
        keys = new long[oldKeys.length * 2];
        values = new long[keys.length];
        Arrays.fill(values, NONE);
        for (int i = 0; i < oldKeys.length; i++) {
            if (oldValues[i] != NONE) {
                int slot = slot(oldKeys[i]);
                keys[slot] = oldKeys[i];
                values[slot] = oldValues[i];
            }
        }
    }
}
