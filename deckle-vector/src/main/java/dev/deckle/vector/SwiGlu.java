package dev.deckle.vector;

import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.all;
import static dev.deckle.vector.Lanes.load;
import static dev.deckle.vector.Lanes.store;

import dev.deckle.kernel.Native;
import jdk.incubator.vector.FloatVector;

/// `silu(gate) up`, silu(x) = x sigmoid(x).
final class SwiGlu {
    private SwiGlu() {}

    static void forward(long gate, long up, long y, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        whole(gate, up, y, done);
        if (rest > 0) {
            long padY = Pad.at(2);
            whole(Pad.in(0, gate + done, rest), Pad.in(1, up + done, rest), padY, BYTES);
            Native.copy(padY, y + done, 4 * rest);
        }
    }

    private static void whole(long gate, long up, long y, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector g = load(gate + i);
            store(g.mul(VectorMath.sigmoid(g)).mul(load(up + i)), y + i);
        }
    }

    static void backward(long gate, long up, long dy, long dgate, long dup, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        wholeGrad(gate, up, dy, dgate, dup, done);
        if (rest > 0) {
            long padGate = Pad.in(0, gate + done, rest);
            long padUp = Pad.in(1, up + done, rest);
            wholeGrad(padGate, padUp, Pad.in(2, dy + done, rest), padGate, padUp, BYTES);
            Native.copy(padGate, dgate + done, 4 * rest);
            Native.copy(padUp, dup + done, 4 * rest);
        }
    }

    private static void wholeGrad(long gate, long up, long dy, long dgate, long dup, long bytes) {
        for (long i = 0; i < bytes; i += BYTES) {
            FloatVector g = load(gate + i);
            FloatVector d = load(dy + i);
            FloatVector s = VectorMath.sigmoid(g);
            FloatVector dg = siluSlope(g, s).mul(load(up + i)).mul(d);
            store(g.mul(s).mul(d), dup + i);
            store(dg, dgate + i);
        }
    }

    static FloatVector siluSlope(FloatVector x) {
        return siluSlope(x, VectorMath.sigmoid(x));
    }

    /// `s (1 + x (1 - s))` with s = sigmoid(x).
    private static FloatVector siluSlope(FloatVector x, FloatVector s) {
        return all(1f).sub(s).fma(x, all(1f)).mul(s);
    }
}
