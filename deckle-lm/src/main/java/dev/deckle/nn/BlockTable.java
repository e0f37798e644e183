package dev.deckle.nn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Where the positions of one sequence are: entry i names the block of a [BlockPool] that holds positions
/// `i * blockSize` to `(i + 1) * blockSize - 1`, as a page table maps addresses to page frames. Only the last block can
/// be partly empty, so a sequence wastes less than one block.
///
/// Tables share blocks: a [#fork] costs a reference a block. Whoever writes into a shared block first gets a copy of it
/// (copy on write); full blocks are never written again, so they stay shared for good.
public final class BlockTable implements AutoCloseable {
    /// The contents of block `from` belong into block `to` as well.
    public record Copy(int from, int to) {}

    private final BlockPool pool;
    private int[] blocks = {};
    private int count;

    /// Of an empty sequence.
    public BlockTable(BlockPool pool) {
        this.pool = pool;
    }

    /// That names blocks of others, to be forked: it refers to none itself.
    BlockTable(BlockPool pool, int[] others) {
        this.pool = pool;
        blocks = others;
        count = others.length;
    }

    /// How many blocks it has.
    int count() {
        return count;
    }

    int block(int i) {
        return blocks[i];
    }

    /// The blocks of the sequence, in the order of its positions.
    public int[] blocks() {
        return Arrays.copyOf(blocks, count);
    }

    /// The block that holds a position.
    public int blockOf(int position) {
        return blocks[position / pool.blockSize()];
    }

    /// Makes positions `from` to `to` (exclusive) writable: each is in a block that no other table refers to. Allocates
    /// what is missing behind the last block, and nothing if that is so already.
    ///
    /// @return what the owner of the memory has to copy before it writes
    /// @throws IllegalStateException if the pool has too few free blocks; nothing has changed then
    public List<Copy> write(int from, int to) {
        int size = pool.blockSize();
        int first = from / size;
        int end = Math.ceilDiv(to, size);
        if (from > to || first > count) {
            throw new IllegalArgumentException("positions " + from + " to " + to + " do not follow the " + count
                    + " blocks of the table");
        }
        int shared = 0;
        for (int i = first; i < Math.min(count, end); i++) {
            shared += pool.references(blocks[i]) > 1 ? 1 : 0;
        }
        pool.require(shared + Math.max(0, end - count));
        List<Copy> copies = new ArrayList<>();
        for (int i = first; i < Math.min(count, end); i++) {
            int old = blocks[i];
            if (pool.references(old) > 1) {
                blocks[i] = pool.copy(old);
                copies.add(new Copy(old, blocks[i]));
            }
        }
        if (end > blocks.length) {
            blocks = Arrays.copyOf(blocks, Math.max(end, 2 * blocks.length));
        }
        while (count < end) {
            blocks[count++] = pool.allocate();
        }
        return copies;
    }

    /// Another sequence that begins with the first `positions` of this one, in the same blocks.
    public BlockTable fork(int positions) {
        BlockTable fork = new BlockTable(pool);
        fork.count = Math.min(count, Math.ceilDiv(positions, pool.blockSize()));
        fork.blocks = Arrays.copyOf(blocks, fork.count);
        for (int block : fork.blocks) {
            pool.share(block);
        }
        return fork;
    }

    /// Gives back the blocks behind the first `positions`.
    public void truncate(int positions) {
        int keep = Math.ceilDiv(positions, pool.blockSize());
        while (count > keep) {
            pool.release(blocks[--count]);
        }
    }

    /// Gives back all blocks.
    @Override
    public void close() {
        truncate(0);
    }
}
