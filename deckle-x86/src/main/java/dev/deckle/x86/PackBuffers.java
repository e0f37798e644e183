package dev.deckle.x86;

import dev.deckle.memory.Pages;
import java.lang.foreign.Arena;
import java.util.concurrent.ConcurrentLinkedDeque;

/// Memory for packed operands. Each task of a running product has some to itself; they are kept for the next, so there
/// are never more than were in use at once. Memory that no product touched costs nothing.
final class PackBuffers {
    static final long BYTES = 64L << 20;

    private static final ConcurrentLinkedDeque<Long> IDLE = new ConcurrentLinkedDeque<>();

    private PackBuffers() {}

    static long take() {
        Long idle = IDLE.pollFirst();
        return idle != null ? idle : Pages.allocate(Arena.global(), BYTES).address();
    }

    /// @param buffer or 0 for none
    static void giveBack(long buffer) {
        if (buffer != 0) {
            IDLE.addFirst(buffer);
        }
    }
}
