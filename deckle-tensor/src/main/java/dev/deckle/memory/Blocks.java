package dev.deckle.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/// A growing pool of native memory cut into blocks: best fit, neighbours joined when freed. Not safe for several
/// threads; a [Workspace] owns one while it is open.
///
/// Best fit rather than a plain bump pointer, because the backward pass gives activations back while it still makes
/// gradients: with reuse a training step peaks at about the size of its activations instead of twice that.
final class Blocks {
    private static final long CHUNK = 32L << 20;

    private record Block(long address, long size) {}

    /// Addresses that belong together, used from the start on. One is enough where the system gives memory as it is
    /// touched; elsewhere each is a chunk.
    private static final class Region {
        final MemorySegment memory;
        long used;

        Region(MemorySegment memory) {
            this.memory = memory;
        }

        long end() {
            return memory.address() + used;
        }

        long left() {
            return memory.byteSize() - used;
        }
    }

    private final Arena arena = Arena.ofShared();
    private final List<Region> regions = new ArrayList<>();
    private final TreeSet<Block> free =
            new TreeSet<>(Comparator.comparingLong(Block::size).thenComparingLong(Block::address));
    private final Map<Long, Block> freeByStart = new HashMap<>();
    private final Map<Long, Block> freeByEnd = new HashMap<>();
    private long reserved;
    private long used;

    static long align(long bytes) {
        return Math.max(64, (bytes + 63) & -64);
    }

    static String refusal(long bytes, String what) {
        return String.format("%,d MB of native memory for the %s were refused by the system: make the model, the batch "
                + "or the context smaller", bytes >> 20, what);
    }

    long allocate(long bytes) {
        long size = align(bytes);
        Block fit = free.ceiling(new Block(0, size));
        if (fit == null) {
            fit = grow(size);
        }
        remove(fit);
        if (fit.size > size) {
            add(new Block(fit.address + size, fit.size - size));
        }
        used += size;
        return fit.address;
    }

    void free(long address, long bytes) {
        long size = align(bytes);
        used -= size;
        Block after = freeByStart.get(address + size);
        Block before = freeByEnd.get(address);
        if (after != null) {
            remove(after);
            size += after.size;
        }
        if (before != null) {
            remove(before);
            address = before.address;
            size += before.size;
        }
        add(new Block(address, size));
    }

    /// Everything is free again; the memory stays reserved.
    void reset() {
        free.clear();
        freeByStart.clear();
        freeByEnd.clear();
        regions.forEach(r -> add(new Block(r.memory.address(), r.used)));
        used = 0;
    }

    long reserved() {
        return reserved;
    }

    long used() {
        return used;
    }

    /// More memory at the top, joined with what is free there, for a block of `size`.
    private Block grow(long size) {
        long missing = Pages.roundUp(size - topFree());
        try {
            if (regions.isEmpty() || missing > regions.getLast().left()) {
                missing = Pages.roundUp(size);
                regions.add(new Region(Pages.reserve(arena, Math.max(size, CHUNK))));
            } else {
                Pages.require(missing);
            }
        } catch (OutOfMemoryError e) {
            throw new OutOfMemoryError(refusal(reserved + missing, "step"));
        }
        Region r = regions.getLast();
        long more = Math.min(missing, r.left());
        long at = r.end();
        r.used += more;
        reserved += more;
        Block below = freeByEnd.get(at);
        Block b = new Block(at, more);
        if (below != null && at > r.memory.address()) {
            remove(below);
            b = new Block(below.address, below.size + more);
        }
        add(b);
        return b;
    }

    /// What is free at the end of what is used of the last region.
    private long topFree() {
        Block top = regions.isEmpty() ? null : freeByEnd.get(regions.getLast().end());
        return top == null ? 0 : top.size;
    }

    private void add(Block b) {
        free.add(b);
        freeByStart.put(b.address, b);
        freeByEnd.put(b.address + b.size, b);
    }

    private void remove(Block b) {
        free.remove(b);
        freeByStart.remove(b.address);
        freeByEnd.remove(b.address + b.size);
    }
}
