package dev.deckle.x86;

import static dev.deckle.x86.emit.Asm.Mem.at;
import static dev.deckle.x86.emit.Asm.Reg.*;
import static dev.deckle.x86.emit.Kernel.scalar;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.NativeCall;
import dev.deckle.kernel.Scratch;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Function;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import dev.deckle.x86.emit.Value;
import java.lang.foreign.ValueLayout;

/// AdamW, and the norm of gradients that it is told of.
final class Adam {
    /// Accumulators of a sum.
    private static final int CHAINS = 4;

    private final Isa isa;
    private final Kernel update;
    private final Function squares;

    Adam(Isa isa) {
        this.isa = isa;
        update = new Kernel(isa, Adam::update);
        squares = new Function(() -> squares(isa));
    }

    /// The scalars of a step are folded in double: in float 1 - 0.999 would be wrong in the fifth digit.
    void update(
            long p, long g, long m, long v, long n,
            double gradScale, double lr, double b1, double b2, double eps, double decay, double c1, double c2) {
        update.call(n, p, g, m, v, scalar(gradScale), scalar(b1), scalar(1 - b1), scalar(b2), scalar(1 - b2),
                scalar(-lr * decay), scalar(lr / c1), scalar(1 / Math.sqrt(c2)), scalar(eps));
    }

    private static void update(Routine r) {
        var n = r.count();
        var p = r.floats();
        var g = r.floats();
        var m = r.floats();
        var v = r.floats();
        Value gradScale = r.scalar();
        Value b1 = r.scalar();
        Value fresh1 = r.scalar();
        Value b2 = r.scalar();
        Value fresh2 = r.scalar();
        Value minusShrink = r.scalar();
        Value rate = r.scalar();
        Value unit = r.scalar();
        Value eps = r.scalar();
        Value scaled = g.load().times(gradScale);
        Value mean = m.load().fma(b1, scaled.times(fresh1));
        Value square = v.load().fma(b2, scaled.times(scaled).times(fresh2));
        Value old = p.load();
        Value step = mean.times(rate).over(square.sqrt().fma(unit, eps));
        r.each(n, p.set(old.fma(minusShrink, old).minus(step)), m.set(mean), v.set(square));
    }

    /// In double, of which a vector has half as many.
    double sumOfSquares(long x, long n) {
        int lanes = isa.lanes / 2;
        long turns = n / (CHAINS * lanes);
        long sums = Scratch.bytes(Product.SCRATCH, CHAINS * isa.bytes());
        NativeCall.call(squares.get(), x, turns, sums, 0, 0, 0);
        double sum = 0;
        for (int i = 0; i < CHAINS * lanes; i++) {
            sum += Native.ALL.get(ValueLayout.JAVA_DOUBLE, sums + 8L * i);
        }
        for (long i = turns * CHAINS * lanes; i < n; i++) {
            double e = Native.getFloat(x + 4 * i);
            sum += e * e;
        }
        return sum;
    }

    /// `void squares(x, turns, sums)`
    private static byte[] squares(Isa isa) {
        Asm asm = new Asm(isa);
        for (int i = 0; i < CHAINS; i++) {
            asm.zero(i);
        }
        asm.test(RSI);
        int none = asm.skipIfZero();
        int turn = asm.size();
        for (int i = 0; i < CHAINS; i++) {
            asm.vector(Asm.VCVTPS2PD, CHAINS + i, 0, at(RDI, i * isa.bytes() / 2));
            asm.vector(Asm.VFMADD231PD, i, CHAINS + i, CHAINS + i);
        }
        asm.add(RDI, CHAINS * isa.bytes() / 2);
        asm.dec(RSI);
        asm.loop(turn);
        asm.land(none);
        for (int i = 0; i < CHAINS; i++) {
            asm.store(at(RDX, i * isa.bytes()), i);
        }
        asm.vzeroupper();
        asm.ret();
        return asm.bytes();
    }
}
