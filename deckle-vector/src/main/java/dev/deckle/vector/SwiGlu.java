package dev.deckle.vector;

import static dev.deckle.vector.Lanes.BYTES;
import static dev.deckle.vector.Lanes.N;
import static dev.deckle.vector.Lanes.pad;

import dev.deckle.kernel.Native;

/// `silu(gate) up`, silu(x) = x sigmoid(x), for any number of elements.
final class SwiGlu {
    private SwiGlu() {}

    static void forward(long gate, long up, long y, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        Activations.swiglu(gate, up, y, done);
        if (rest > 0) {
            long padY = pad(2);
            Activations.swiglu(pad(0, gate + done, rest), pad(1, up + done, rest), padY, BYTES);
            Native.copy(padY, y + done, 4 * rest);
        }
    }

    static void backward(long gate, long up, long dy, long dgate, long dup, long n) {
        long rest = n % N;
        long done = 4 * (n - rest);
        Activations.swigluGradient(gate, up, dy, dgate, dup, done);
        if (rest > 0) {
            long padGate = pad(0, gate + done, rest);
            long padUp = pad(1, up + done, rest);
            Activations.swigluGradient(padGate, padUp, pad(2, dy + done, rest), padGate, padUp, BYTES);
            Native.copy(padGate, dgate + done, 4 * rest);
            Native.copy(padUp, dup + done, 4 * rest);
        }
    }
}
