package dev.deckle.nn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Which blocks of a [BlockPool] hold which beginnings of sequences. What a block holds depends on its own tokens and
/// on all before it, so a block is found by its tokens and the entry of the block before it: a chain from the first
/// token on, in which equal hashes of different tokens are no danger because the tokens themselves are compared.
///
/// The index refers to its blocks as a table does. When the pool runs dry, those that nobody else refers to are given
/// back, the least recently used first, and of one chain the end before the beginning.
final class PrefixIndex {
    /// A full block.
    ///
    /// @param parent the number of the entry before it, 0 at the beginning of a sequence
    private record Key(long parent, List<Integer> tokens) {}

    private record Entry(long number, int block) {}

    private final BlockPool pool;
    private final Map<Key, Entry> entries = new LinkedHashMap<>(16, 0.75f, true); // the least recently used first
    private long numbers;

    PrefixIndex(BlockPool pool) {
        this.pool = pool;
    }

    /// The blocks of the longest known beginning of a sequence, whole ones.
    int[] find(int[] ids) {
        List<Key> chain = new ArrayList<>();
        List<Integer> blocks = new ArrayList<>();
        long parent = 0;
        for (int i = 0; i + pool.blockSize() <= ids.length; i += pool.blockSize()) {
            Key key = key(parent, ids, i);
            Entry found = entries.get(key);
            if (found == null) {
                break;
            }
            chain.add(key);
            blocks.add(found.block);
            parent = found.number;
        }
        touch(chain);
        return blocks.stream().mapToInt(b -> b).toArray();
    }

    /// The full blocks of a sequence, whose numbers are those of `ids`, are there for later ones.
    void remember(int[] ids, int[] blocks) {
        List<Key> chain = new ArrayList<>();
        long parent = 0;
        for (int i = 0; (i + 1) * pool.blockSize() <= ids.length; i++) {
            Key key = key(parent, ids, i * pool.blockSize());
            Entry entry = entries.get(key);
            if (entry == null) {
                pool.share(blocks[i]);
                entry = new Entry(++numbers, blocks[i]);
                entries.put(key, entry);
            }
            chain.add(key);
            parent = entry.number;
        }
        touch(chain);
    }

    private Key key(long parent, int[] ids, int from) {
        return new Key(parent, Arrays.stream(ids, from, from + pool.blockSize()).boxed().toList());
    }

    /// The beginning was used last: it outlives what follows it.
    private void touch(List<Key> chain) {
        chain.reversed().forEach(entries::get);
    }

    /// Gives back up to `blocks` of its blocks.
    void evict(int blocks) {
        int left = blocks;
        for (Iterator<Entry> all = entries.values().iterator(); left > 0 && all.hasNext();) {
            int block = all.next().block;
            if (pool.references(block) == 1) {
                all.remove();
                pool.release(block);
                left--;
            }
        }
    }
}
