package dev.deckle.x86;

import static dev.deckle.x86.emit.Kernel.scalar;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.ScalarKernels;
import dev.deckle.kernel.UnaryFn;
import dev.deckle.tensor.DType;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import dev.deckle.x86.emit.Value;
import java.util.EnumMap;
import java.util.Map;

/// Maps of one array, or two, into another.
final class Elementwise {
    private static final int QUIET_NAN = 0x7FC00000;

    private final Isa isa;
    private final Map<UnaryFn, Kernel> maps = new EnumMap<>(UnaryFn.class);
    private final Map<UnaryFn, Kernel> gradients = new EnumMap<>(UnaryFn.class);
    /// By which of the operands is one number for all.
    private final Map<BinaryFn, Kernel[]> binaries = new EnumMap<>(BinaryFn.class);
    private final Kernel affine;
    private final Kernel narrow;
    private final Kernel narrowSum;
    private final Kernel widen;

    Elementwise(Isa isa) {
        this.isa = isa;
        for (UnaryFn f : UnaryFn.values()) {
            Value any = Value.of(0);
            Functions.of(f, any).ifPresent(_ -> maps.put(f, new Kernel(isa, r -> map(r, f))));
            Functions.slope(f, any).ifPresent(_ -> gradients.put(f, new Kernel(isa, r -> gradient(r, f))));
        }
        for (BinaryFn f : BinaryFn.values()) {
            if (!f.comparison() && f != BinaryFn.POW) {
                Kernel[] kernels = new Kernel[4];
                for (int i = 0; i < kernels.length; i++) {
                    boolean oneA = (i & 1) == 0;
                    boolean oneB = (i & 2) == 0;
                    kernels[i] = new Kernel(isa, r -> binary(r, f, oneA, oneB));
                }
                binaries.put(f, kernels);
            }
        }
        affine = new Kernel(isa, Elementwise::affine);
        narrow = new Kernel(isa, r -> narrow(r, false));
        narrowSum = new Kernel(isa, r -> narrow(r, true));
        widen = new Kernel(isa, Elementwise::widen);
    }

    void unary(UnaryFn f, long x, long y, long n) {
        if (maps.containsKey(f)) {
            maps.get(f).call(n, x, y);
        } else {
            ScalarKernels.INSTANCE.unary(DType.F32, f, x, y, n);
        }
    }

    private static void map(Routine r, UnaryFn f) {
        var n = r.count();
        var x = r.floats();
        var y = r.floats();
        r.each(n, y.set(Functions.of(f, x.load()).orElseThrow()));
    }

    void unaryGrad(UnaryFn f, long x, long dy, long dx, long n) {
        if (gradients.containsKey(f)) {
            gradients.get(f).call(n, x, dy, dx);
        } else {
            ScalarKernels.INSTANCE.unaryGrad(DType.F32, f, x, dy, dx, n);
        }
    }

    private static void gradient(Routine r, UnaryFn f) {
        var n = r.count();
        var x = r.floats();
        var dy = r.floats();
        var dx = r.floats();
        r.each(n, dx.set(Functions.slope(f, x.load()).orElseThrow().times(dy.load())));
    }

    void binary(BinaryFn f, long a, int sa, long b, int sb, long y, long n) {
        if (f.comparison()) {
            throw new IllegalArgumentException(f + " is a comparison: its result is BOOL");
        }
        if (binaries.containsKey(f)) {
            binaries.get(f)[sa + 2 * sb].call(n, a, b, y);
        } else {
            ScalarKernels.INSTANCE.binary(DType.F32, f, a, sa, b, sb, y, n);
        }
    }

    /// (n, a, b, y), which may be the same.
    static void binary(Routine r, BinaryFn f, boolean oneA, boolean oneB) {
        var n = r.count();
        Value a = (oneA ? r.column() : r.floats()).load();
        Value b = (oneB ? r.column() : r.floats()).load();
        var y = r.floats();
        r.each(n, y.set(switch (f) {
            case ADD -> a.plus(b);
            case SUB -> a.minus(b);
            case MUL -> a.times(b);
            case DIV -> a.over(b);
            case MAX -> Functions.max(a, b);
            case MIN -> Functions.min(a, b);
            case POW, EQ, NE, LT, LE, GT, GE -> throw new AssertionError(f);
        }));
    }

    void affine(long x, double mul, double add, long y, long n) {
        affine.call(n, x, y, scalar(mul), scalar(add));
    }

    private static void affine(Routine r) {
        var n = r.count();
        var x = r.floats();
        var y = r.floats();
        r.each(n, y.set(x.load().fma(r.scalar(), r.scalar())));
    }

    // ---- BF16

    void narrow(long x, long y, long n, boolean add) {
        (add ? narrowSum : narrow).call(n, x, y);
        for (long i = n - n % isa.lanes; i < n; i++) {
            float value = Native.getFloat(x + 4 * i);
            Bf16.set(y + 2 * i, add ? Bf16.get(y + 2 * i) + value : value);
        }
    }

    private static void narrow(Routine r, boolean add) {
        var n = r.count();
        var x = r.floats();
        var y = r.halves();
        Value exact = add ? y.load().plus(x.load()) : x.load();
        Value odd = exact.shiftRight(16).and(1);
        Value rounded = exact.plusBits(odd).plusBits(0x7FFF);
        r.eachWhole(n, y.set(exact.isNaN().choose(new Value.Constant(QUIET_NAN), rounded).shiftRight(16)));
    }

    void widen(long x, long y, long n) {
        widen.call(n, x, y);
        for (long i = n - n % isa.lanes; i < n; i++) {
            Native.setFloat(y + 4 * i, Bf16.get(x + 2 * i));
        }
    }

    private static void widen(Routine r) {
        var n = r.count();
        var x = r.halves();
        var y = r.floats();
        r.eachWhole(n, y.set(x.load()));
    }
}
