package dev.deckle.vector;

import static dev.deckle.kernel.Native.ALL;
import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.F;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.ORDER;
import static dev.deckle.vector.Lanes.pad;
import static jdk.incubator.vector.FloatVector.broadcast;
import static jdk.incubator.vector.FloatVector.fromMemorySegment;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;

/// AdamW with the scalars of its step folded in double: `fresh = 1 - b`, `shrink = lr decay`, `step = lr / c1` and
/// `root = 1 / sqrt(c2)`. In float 1 - 0.999 would be wrong in the fifth digit.
record Adam(
        float gradScale, float b1, float fresh1, float b2, float fresh2, float eps, float shrink, float step,
        float root) {

    static Adam of(
            double gradScale, double lr, double b1, double b2, double eps, double decay, double c1, double c2) {
        return new Adam((float) gradScale, (float) b1, (float) (1 - b1), (float) b2, (float) (1 - b2), (float) eps,
                (float) (lr * decay), (float) (lr / c1), (float) (1 / Math.sqrt(c2)));
    }

    void update(long p, long g, long m, long v, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        whole(p, g, m, v, done);
        if (rest > 0) {
            long padP = pad(0, p + done, rest);
            long padM = pad(1, m + done, rest);
            long padV = pad(2, v + done, rest);
            whole(padP, pad(3, g + done, rest), padM, padV, BYTES);
            Native.copy(padP, p + done, 4 * rest);
            Native.copy(padM, m + done, 4 * rest);
            Native.copy(padV, v + done, 4 * rest);
        }
    }

    private void whole(long p, long g, long m, long v, long bytes) {
        FloatVector scale = broadcast(F, gradScale);
        FloatVector keep1 = broadcast(F, b1);
        FloatVector new1 = broadcast(F, fresh1);
        FloatVector keep2 = broadcast(F, b2);
        FloatVector new2 = broadcast(F, fresh2);
        FloatVector unit = broadcast(F, root);
        FloatVector least = broadcast(F, eps);
        FloatVector rate = broadcast(F, step);
        FloatVector loss = broadcast(F, -shrink);
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector gi = fromMemorySegment(F, ALL, g + i, ORDER).mul(scale);
            FloatVector mi = fromMemorySegment(F, ALL, m + i, ORDER).fma(keep1, gi.mul(new1));
            FloatVector vi = fromMemorySegment(F, ALL, v + i, ORDER).fma(keep2, gi.mul(gi).mul(new2));
            FloatVector pi = fromMemorySegment(F, ALL, p + i, ORDER);
            pi.fma(loss, pi).sub(mi.mul(rate).div(vi.sqrt().fma(unit, least))).intoMemorySegment(ALL, p + i, ORDER);
            mi.intoMemorySegment(ALL, m + i, ORDER);
            vi.intoMemorySegment(ALL, v + i, ORDER);
        }
    }
}
