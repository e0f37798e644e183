package dev.deckle.memory;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Memory for tensors made outside of any [Workspace], as in a shell: no ceremony, reclaimed by the collector once no
/// tensor of its chunk is left. Small blocks share chunks, because an arena for each would cost microseconds.
final class CallerMemory implements Storage.Owner {
    private static final long CHUNK = 1 << 20;
    private static CallerMemory current;

    private final MemorySegment chunk; // keeps the arena reachable as long as any block of it is
    private long used;

    private CallerMemory(long bytes) {
        chunk = Arena.ofAuto().allocate(bytes, 64);
    }

    static synchronized Storage allocate(long bytes) {
        if (bytes > CHUNK / 4) {
            CallerMemory own = new CallerMemory(bytes);
            return new Storage(own, own.chunk.address(), bytes);
        }
        if (current == null || current.used + bytes > CHUNK) {
            current = new CallerMemory(CHUNK);
        }
        Storage s = new Storage(current, current.chunk.address() + current.used, bytes);
        current.used += Blocks.align(bytes);
        return s;
    }

    @Override
    public String ended() {
        return "";
    }

    @Override
    public void reclaim(Storage storage) {
        throw new AssertionError("the collector reclaims these");
    }
}
