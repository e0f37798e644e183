package dev.deckle.nn;

import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/// Which of a fixed number of equal blocks are in use, and by how many tables: plain whole numbers, no memory. A block
/// is free while nobody refers to it; the last one freed is the first to serve again.
///
/// A [BlockTable] is what refers to blocks; [PagedKvCache] is what keeps keys and values in them.
public final class BlockPool {
    /// What happens to a block, as it happens.
    public sealed interface Event {
        /// A free block got its first reference.
        record Allocated(int block) implements Event {}

        /// One more table refers to it: `references` now.
        record Shared(int block, int references) implements Event {}

        /// A table that must write into the shared block `from` has `to` in its place, and its contents.
        record Copied(int from, int to) implements Event {}

        /// One table less refers to it: `references` are left; with 0 it is free.
        record Released(int block, int references) implements Event {}
    }

    private final int blocks;
    private final int blockSize;
    private final Consumer<Event> listener;
    private IntConsumer whenDry = _ -> {};
    private int[] references = new int[16]; // of each block below `extent`
    private int[] free = new int[16]; // a stack
    private int freed;
    private int extent;

    /// @param blocks how many there are
    /// @param blockSize positions that one holds
    public BlockPool(int blocks, int blockSize) {
        this(blocks, blockSize, _ -> {});
    }

    /// The same with a listener, which sees every change.
    public BlockPool(int blocks, int blockSize, Consumer<Event> listener) {
        if (blocks < 1 || blockSize < 1) {
            throw new IllegalArgumentException("a block pool needs at least 1 block of at least 1 position, not "
                    + blocks + " of " + blockSize);
        }
        this.blocks = blocks;
        this.blockSize = blockSize;
        this.listener = listener;
    }

    /// Asked for a number of blocks when there are too few: it may release some.
    void whenDry(IntConsumer reclaimer) {
        whenDry = reclaimer;
    }

    /// How many blocks there are.
    public int blocks() {
        return blocks;
    }

    /// Positions that a block holds.
    public int blockSize() {
        return blockSize;
    }

    /// Blocks that somebody refers to.
    public int used() {
        return extent - freed;
    }

    /// Blocks that nobody refers to.
    public int available() {
        return blocks - used();
    }

    /// One more than the highest block that was ever in use: whoever stores blocks needs memory for so many.
    public int extent() {
        return extent;
    }

    /// How many tables refer to a block: 0 if it is free.
    public int references(int block) {
        return block < extent ? references[block] : 0;
    }

    /// A free block, now with one reference.
    ///
    /// @throws IllegalStateException if none is free
    int allocate() {
        require(1);
        int block = freed > 0 ? free[--freed] : extent++;
        if (block == references.length) {
            references = Arrays.copyOf(references, 2 * block);
        }
        references[block] = 1;
        listener.accept(new Event.Allocated(block));
        return block;
    }

    /// One more reference to a block in use.
    void share(int block) {
        checkUsed(block);
        listener.accept(new Event.Shared(block, ++references[block]));
    }

    /// One reference less.
    void release(int block) {
        checkUsed(block);
        if (--references[block] == 0) {
            if (freed == free.length) {
                free = Arrays.copyOf(free, 2 * freed);
            }
            free[freed++] = block;
        }
        listener.accept(new Event.Released(block, references[block]));
    }

    /// A free block in place of one reference to `block`, which others go on sharing.
    int copy(int block) {
        int copy = allocate();
        release(block);
        listener.accept(new Event.Copied(block, copy));
        return copy;
    }

    /// @throws IllegalStateException if fewer than `needed` are free
    void require(int needed) {
        if (needed > available()) {
            whenDry.accept(needed - available());
        }
        if (needed > available()) {
            throw new IllegalStateException("the block pool is exhausted: " + needed + " more of its " + blocks
                    + " blocks (" + blockSize + " positions each) are needed and " + available() + " are free");
        }
    }

    private void checkUsed(int block) {
        if (references(block) == 0) {
            throw new IllegalStateException("block " + block + " is free: nobody may share or release it");
        }
    }
}
