package dev.deckle.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// All native memory as one segment, addressed by absolute `long` addresses.
///
/// Goal: every kernel sees one kind of memory only. A kernel that has run on native segments and then meets a mapped or
/// a heap segment slows down several times, because the JIT compiler can no longer assume one kind. With a single
/// constant segment there is nothing to assume: the compiler knows its base, its bounds and that it never closes.
///
/// The price: nothing below the door checks bounds or lifetimes. Both are checked once, above it, where a
/// [dev.deckle.tensor.Tensor] hands out its address.
public final class Native {
    /// The whole address space. An offset into it is an address.
    public static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

    private Native() {}

    public static float getFloat(long address) {
        return ALL.get(ValueLayout.JAVA_FLOAT, address);
    }

    public static void setFloat(long address, float value) {
        ALL.set(ValueLayout.JAVA_FLOAT, address, value);
    }

    public static int getInt(long address) {
        return ALL.get(ValueLayout.JAVA_INT, address);
    }

    public static void setInt(long address, int value) {
        ALL.set(ValueLayout.JAVA_INT, address, value);
    }

    public static long getLong(long address) {
        return ALL.get(ValueLayout.JAVA_LONG, address);
    }

    public static void setLong(long address, long value) {
        ALL.set(ValueLayout.JAVA_LONG, address, value);
    }

    public static void copy(long from, long to, long bytes) {
        MemorySegment.copy(ALL, from, ALL, to, bytes);
    }

    public static void zero(long address, long bytes) {
        ALL.asSlice(address, bytes).fill((byte) 0);
    }

    /// Whether two stretches of memory hold the same bytes.
    public static boolean equal(long a, long b, long bytes) {
        return ALL.asSlice(a, bytes).mismatch(ALL.asSlice(b, bytes)) < 0;
    }
}
