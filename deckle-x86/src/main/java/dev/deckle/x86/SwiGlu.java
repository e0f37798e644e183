package dev.deckle.x86;

import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import dev.deckle.x86.emit.Value;

/// `silu(gate) up`, silu(x) = x sigmoid(x).
final class SwiGlu {
    private final Kernel forward;
    private final Kernel backward;

    SwiGlu(Isa isa) {
        forward = new Kernel(isa, SwiGlu::forward);
        backward = new Kernel(isa, SwiGlu::backward);
    }

    void forward(long gate, long up, long y, long n) {
        forward.call(n, gate, up, y);
    }

    private static void forward(Routine r) {
        var n = r.count();
        Value gate = r.floats().load();
        Value up = r.floats().load();
        var y = r.floats();
        r.each(n, y.set(gate.over(Functions.exp(gate.negated()).plus(1)).times(up)));
    }

    void backward(long gate, long up, long dy, long dgate, long dup, long n) {
        backward.call(n, gate, up, dy, dgate, dup);
    }

    private static void backward(Routine r) {
        var n = r.count();
        Value gate = r.floats().load();
        Value up = r.floats().load();
        Value dy = r.floats().load();
        var dgate = r.floats();
        var dup = r.floats();
        Value s = Functions.sigmoid(gate);
        r.each(n,
                dgate.set(Functions.siluSlope(gate, s).times(up).times(dy)),
                dup.set(gate.times(s).times(dy)));
    }
}
