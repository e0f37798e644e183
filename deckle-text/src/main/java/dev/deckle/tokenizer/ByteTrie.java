package dev.deckle.tokenizer;

import java.util.Arrays;

/// A tree of byte strings with a number each: finds all that begin at a place in a text, shortest first, in one walk.
///
/// Edges lie in one hash table from (node, byte) to node, so that a vocabulary of 250 thousand pieces needs a few
/// megabytes and no object per node.
final class ByteTrie {
    /// What [#child] says where no string goes on.
    static final int NONE = -1;
    static final int ROOT = 0;

    private final PairTable edges = new PairTable(1 << 10);
    private final int[] roots = new int[256]; // the first step is the most frequent one
    private final IntList values = new IntList(); // by node: number + 1, or 0

    ByteTrie() {
        values.add(0);
        Arrays.fill(roots, NONE);
    }

    /// Adds `key`; of equal keys the last number counts.
    void put(byte[] key, int number) {
        int node = ROOT;
        for (byte b : key) {
            int next = child(node, b);
            if (next == NONE) {
                next = values.size();
                values.add(0);
                if (node == ROOT) {
                    roots[b & 0xFF] = next;
                } else {
                    edges.put(PairTable.pair(node, b & 0xFF), next);
                }
            }
            node = next;
        }
        values.array()[node] = number + 1;
    }

    boolean isEmpty() {
        return values.size() == 1;
    }

    int child(int node, byte b) {
        return node == ROOT ? roots[b & 0xFF] : (int) edges.get(PairTable.pair(node, b & 0xFF));
    }

    /// The number of the string that ends at `node`, or NONE.
    int number(int node) {
        return values.get(node) - 1;
    }
}
