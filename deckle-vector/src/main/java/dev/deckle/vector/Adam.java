package dev.deckle.vector;

import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.all;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.store;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;

/// AdamW with the scalars of its step folded in double: `fresh = 1 - b`, `shrink = lr decay`, `step = lr / c1` and
/// `root = 1 / sqrt(c2)`. In float 1 - 0.999 would be wrong in the fifth digit.
record Adam(
        float gradScale, float b1, float fresh1, float b2, float fresh2, float eps, float shrink, float step, float root) {

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
            long padP = Pad.in(0, p + done, rest);
            long padM = Pad.in(1, m + done, rest);
            long padV = Pad.in(2, v + done, rest);
            whole(padP, Pad.in(3, g + done, rest), padM, padV, BYTES);
            Native.copy(padP, p + done, 4 * rest);
            Native.copy(padM, m + done, 4 * rest);
            Native.copy(padV, v + done, 4 * rest);
        }
    }

    private void whole(long p, long g, long m, long v, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector gi = load(g + i).mul(gradScale);
            FloatVector mi = load(m + i).fma(all(b1), gi.mul(fresh1));
            FloatVector vi = load(v + i).fma(all(b2), gi.mul(gi).mul(fresh2));
            FloatVector change = mi.mul(step).div(vi.sqrt().fma(root, eps));
            FloatVector pi = load(p + i);
            store(pi.fma(all(-shrink), pi).sub(change), p + i);
            store(mi, m + i);
            store(vi, v + i);
        }
    }
}
