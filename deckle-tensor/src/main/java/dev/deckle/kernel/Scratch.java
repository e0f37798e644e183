package dev.deckle.kernel;

import java.lang.foreign.Arena;

/// A thread's own working memory for kernels: grows to the largest request and stays, so that no kernel allocates in a
/// loop. A slot keeps its contents until the same thread asks for the same slot again.
///
/// Kernels call each other on one thread (attention calls products), so each has slots of its own: 0 to 3
/// [FlashAttention], 4 to 6 the vector kernels, 7 to 9 the x86 kernels, 10 the passes that call kernels in turn.
public final class Scratch {
    /// How many buffers a thread can hold at once.
    public static final int SLOTS = 11;

    private static final ThreadLocal<Scratch> MINE = ThreadLocal.withInitial(Scratch::new);

    private final Arena[] arenas = new Arena[SLOTS];
    private final long[] addresses = new long[SLOTS];
    private final long[] sizes = new long[SLOTS];

    private Scratch() {}

    /// The address of at least `bytes` bytes, 64-byte aligned, contents undefined.
    public static long bytes(int slot, long bytes) {
        Scratch s = MINE.get();
        if (s.sizes[slot] < bytes) {
            long size = Math.max(bytes + bytes / 4, 4096);
            // reclaimed by the collector once the thread or a larger buffer has dropped it
            s.arenas[slot] = Arena.ofAuto();
            s.addresses[slot] = s.arenas[slot].allocate(size, 64).address();
            s.sizes[slot] = size;
        }
        return s.addresses[slot];
    }
}
