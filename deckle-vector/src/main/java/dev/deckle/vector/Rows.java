package dev.deckle.vector;

import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.all;
import static dev.deckle.vector.Lanes.load;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;

/// Dot products, the step that several kernels share.
final class Rows {
    private Rows() {}

    /// The sum of `a b`, in an order fixed by n.
    static float dot(long a, long b, int n) {
        FloatVector s0 = all(0f);
        FloatVector s1 = s0;
        int i = 0;
        for (; i <= n - 2 * N; i += 2 * N) {
            long at = 4L * i;
            s0 = load(a + at).fma(load(b + at), s0);
            s1 = load(a + at + BYTES).fma(load(b + at + BYTES), s1);
        }
        if (i <= n - N) {
            s0 = load(a + 4L * i).fma(load(b + 4L * i), s0);
            i += N;
        }
        float sum = Lanes.sum(s0.add(s1));
        for (; i < n; i++) {
            sum += Native.getFloat(a + 4L * i) * Native.getFloat(b + 4L * i);
        }
        return sum;
    }
}
