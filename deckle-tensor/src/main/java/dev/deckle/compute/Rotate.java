package dev.deckle.compute;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;

/// Rotary position embedding of (..., T, D), in whatever order x lies in memory.
public final class Rotate {
    private Rotate() {}

    /// The result is contiguous: where heads lie between positions in x, as a projection leaves them, each is by itself
    /// in the result, as attention reads them.
    public static Tensor rope(Tensor x, Tensor cos, Tensor sin, boolean interleaved) {
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        rotate(x, y, cos, sin, interleaved, false);
        return y;
    }

    /// The gradient `dy` turned back, which lies in memory as x does.
    public static Tensor back(Tensor x, Tensor dy, Tensor cos, Tensor sin, boolean interleaved) {
        Tensor dx = Like.layout(x);
        rotate(dy, dx, cos, sin, interleaved, true);
        return dx;
    }

    private static void rotate(Tensor x, Tensor y, Tensor cos, Tensor sin, boolean interleaved, boolean inverse) {
        Tensor in = x.stride(-1) == 1 ? x : Pointwise.contiguous(x);
        Tensor c = Pointwise.contiguous(cos);
        Tensor s = Pointwise.contiguous(sin);
        int positions = x.dim(-2);
        int d = x.dim(-1);
        int heads = x.rank() < 4 ? 1 : x.dim(-3);
        int outer = x.rank() < 4 ? x.rank() - 2 : x.rank() - 3; // dimensions before the heads
        long sequences = x.shape().slice(0, outer).numel();
        boolean perBatch = cos.rank() == 3;
        long perTable = perBatch ? sequences / Math.max(1, x.dim(0)) : sequences;
        DType t = x.dtype();
        Kernels k = Door.current().of(Family.ROPE, t);
        long w = t.bytes();
        int half = d / 2;
        if (byPosition(in) || byPosition(y)) { // the heads of a position lie together, and turn by the same angles
            Work.rows(sequences * positions, (long) heads * d, (first, end) -> {
                for (long i = first; i < end; i++) {
                    long sequence = i / positions;
                    long p = i % positions;
                    long angles = w * half * (sequence / perTable * positions + p);
                    k.rope(t, at(in, outer, sequence) + w * p * in.stride(-2), in.stride(-3),
                            at(y, outer, sequence) + w * p * y.stride(-2), y.stride(-3),
                            c.address() + angles, s.address() + angles, 0, heads, d, interleaved, inverse);
                }
            }, in, y, c, s);
            return;
        }
        Work.rows(sequences * heads, (long) positions * d, (first, end) -> {
            for (long i = first; i < end; i++) {
                long angles = w * half * (i / heads / perTable * positions);
                int lead = x.rank() - 2;
                k.rope(t, at(in, lead, i), in.stride(-2), at(y, lead, i), y.stride(-2), c.address() + angles,
                        s.address() + angles, half, positions, d, interleaved, inverse);
            }
        }, in, y, c, s);
    }

    private static boolean byPosition(Tensor x) {
        return x.rank() >= 4 && x.stride(-3) < x.stride(-2);
    }

    /// The address of what lies at place i of the first `axes` dimensions, counted through.
    private static long at(Tensor x, int axes, long i) {
        long offset = 0;
        for (int a = axes - 1; a >= 0; a--) {
            offset += i % x.dim(a) * x.stride(a);
            i /= x.dim(a);
        }
        return x.address() + x.dtype().bytes() * offset;
    }
}
