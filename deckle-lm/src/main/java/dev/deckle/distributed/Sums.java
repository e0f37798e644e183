package dev.deckle.distributed;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import java.lang.foreign.Arena;

/// The one place where ranks are added up, in their order, whatever brought their numbers here.
///
/// The work goes block by block, so that the running sum of a block stays in the first cache and each source is read
/// from memory once. Adding is the same on every backend, to the bit: there is nothing to round but the sum itself.
public final class Sums {
    /// Elements of a block: 32 KB of F64, 16 KB of F32.
    private static final int BLOCK = 4096;

    private final Door door;
    private final Arena arena = Arena.ofAuto();
    private final long block = arena.allocate(8L * BLOCK, 64).address();
    private final float[] wide = new float[BLOCK];

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

    private void addBf16(long[] sources, long offset, long target, int n) {
        for (int i = 0; i < n; i++) {
            wide[i] = Bf16.get(sources[0] + offset + 2L * i);
        }
        for (int r = 1; r < sources.length; r++) {
            long source = sources[r] + offset;
            for (int i = 0; i < n; i++) {
                wide[i] += Bf16.get(source + 2L * i);
            }
        }
        for (int i = 0; i < n; i++) {
            Bf16.set(target + 2L * i, wide[i]);
        }
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
