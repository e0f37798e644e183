package dev.deckle.distributed;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// The one place where ranks are added up, in their order, whatever brought their numbers here.
///
/// The work goes block by block, so that the running sum of a block stays in the first cache and each source is read
/// from memory once. Adding is the same on every backend, to the bit: there is nothing to round but the sum itself.
public final class Sums {
    /// Elements of a block: 16 KB of F32.
    private static final int BLOCK = 4096;

    private final Door door;
    private final Arena arena = Arena.ofAuto();
    private final long block = arena.allocate(8L * BLOCK, 64).address();
    private final int[] narrow = new int[BLOCK / 2];
    private final int[] lower = new int[BLOCK / 2];
    private final int[] upper = new int[BLOCK / 2];

    /// Sums with the kernels of this door.
    public Sums(Door door) {
        this.door = door;
    }

    /// `target[i] = ((s0[i] + s1[i]) + s2[i]) + ...` for n elements; the target may be one of the sources.
    public void add(DType t, long[] sources, long target, long n) {
        int width = t.bytes();
        for (long at = 0; at < n; at += BLOCK) {
            addBlock(t, sources, at * width, target + at * width, (int) Math.min(BLOCK, n - at));
        }
    }

    private void addBlock(DType t, long[] sources, long offset, long target, int n) {
        switch (t) {
            case F32, F64 -> {
                Kernels k = door.of(Family.ELEMENTWISE, t);
                long sum = sources[0] + offset;
                for (int r = 1; r < sources.length; r++) {
                    // only the last sum goes to the target, because that may be a source which is yet to come
                    long to = r == sources.length - 1 ? target : block;
                    k.binary(t, BinaryFn.ADD, sum, 1, sources[r] + offset, 1, to, n);
                    sum = to;
                }
            }
            case BF16 -> addBf16(sources, offset, target, n);
            case I64 -> addLongs(sources, offset, target, n);
            default -> throw new IllegalArgumentException(t + " is not summed");
        }
    }

    /// Pairs of numbers are taken apart, the lower halves of all before the upper ones, and added by the kernels of
    /// F32. Taking apart and putting together work on `int` arrays without branches, shorts or floats, because that is
    /// what the JIT compiler turns into vectors; [Bf16] element by element, to which it is equal, takes four times as
    /// long.
    private void addBf16(long[] sources, long offset, long target, int n) {
        Kernels k = door.of(Family.ELEMENTWISE, DType.F32);
        long term = block + 4L * BLOCK;
        int pairs = n / 2;
        if (n % 2 == 1) { // first, while the target still is what it was
            float sum = Bf16.get(sources[0] + offset + 4L * pairs);
            for (int r = 1; r < sources.length; r++) {
                sum += Bf16.get(sources[r] + offset + 4L * pairs);
            }
            Bf16.set(target + 4L * pairs, sum);
        }
        for (int r = 0; r < sources.length; r++) {
            widen(sources[r] + offset, r == 0 ? block : term, pairs);
            if (r > 0) {
                k.binary(DType.F32, BinaryFn.ADD, block, 1, term, 1, block, 2L * pairs);
            }
        }
        round(block, target, pairs);
    }

    private void widen(long bf16, long f32, int pairs) {
        MemorySegment.copy(Native.ALL, JAVA_INT_UNALIGNED, bf16, narrow, 0, pairs);
        takeApart(narrow, lower, upper, pairs);
        MemorySegment.copy(lower, 0, Native.ALL, JAVA_INT, f32, pairs);
        MemorySegment.copy(upper, 0, Native.ALL, JAVA_INT, f32 + 4L * pairs, pairs);
    }

    private void round(long f32, long bf16, int pairs) {
        MemorySegment.copy(Native.ALL, JAVA_INT, f32, lower, 0, pairs);
        MemorySegment.copy(Native.ALL, JAVA_INT, f32 + 4L * pairs, upper, 0, pairs);
        putTogether(lower, upper, narrow, pairs);
        MemorySegment.copy(narrow, 0, Native.ALL, JAVA_INT_UNALIGNED, bf16, pairs);
    }

    private static void takeApart(int[] pairs, int[] lower, int[] upper, int n) {
        for (int i = 0; i < n; i++) {
            lower[i] = pairs[i] << 16;
        }
        for (int i = 0; i < n; i++) {
            upper[i] = pairs[i] & 0xFFFF0000;
        }
    }

    private static void putTogether(int[] lower, int[] upper, int[] pairs, int n) {
        for (int i = 0; i < n; i++) {
            pairs[i] = round(lower[i]) >>> 16 | round(upper[i]) & 0xFFFF0000;
        }
    }

    /// The upper half to the nearest, ties to even; a NaN keeps its upper half and becomes quiet.
    private static int round(int bits) {
        int nan = 0x7F800000 - (bits & 0x7FFFFFFF) >> 31; // all ones, else 0
        return bits + 0x7FFF + (bits >>> 16 & 1) & ~nan | (bits | 0x400000) & nan;
    }

    private static void addLongs(long[] sources, long offset, long target, int n) {
        for (int i = 0; i < n; i++) {
            long sum = 0;
            for (long source : sources) {
                sum += Native.getLong(source + offset + 8L * i);
            }
            Native.setLong(target + 8L * i, sum);
        }
    }
}
