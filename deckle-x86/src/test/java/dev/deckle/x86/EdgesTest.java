package dev.deckle.x86;

import static dev.deckle.tensor.DType.F32;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.ReduceFn;
import dev.deckle.kernel.UnaryFn;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// All kernels but the products on arrays that lie against forbidden pages, on one side and on the other: none reads or
/// writes a number outside of them. Whether the results are right is what the harness of the vector kernels asks.
class EdgesTest {
    private static final int ROWS = 3;
    private static final int MOST = 70;

    private final List<Guarded> memory = new ArrayList<>();
    private int next;
    private boolean atEnd;

    /// The address of an array.
    private long floats(int n) {
        if (next == memory.size()) {
            memory.add(new Guarded(ROWS * MOST));
        }
        Guarded g = memory.get(next++);
        long at = g.place(n, atEnd);
        for (int i = 0; i < n; i++) {
            Native.setFloat(at + 4L * i, (i % 7 - 3) / 4f);
        }
        return at;
    }

    private long longs(int n) {
        long at = floats(2 * n);
        for (int i = 0; i < n; i++) {
            Native.setLong(at + 8L * i, i % 2);
        }
        return at;
    }

    private static List<Kernels> kernels() {
        Cpu cpu = Cpu.detect();
        List<Kernels> all = new ArrayList<>();
        for (String isa : List.of("avx2", "avx512")) {
            if (isa.equals("avx512") ? cpu.avx512() : cpu.isa().isPresent()) {
                all.add(X86Kernels.open(isa));
            }
        }
        return all;
    }

    @Test
    void nothingOutsideIsTouched() {
        for (Kernels k : kernels()) {
            for (boolean end : new boolean[] {false, true}) {
                for (int n = 1; n < MOST; n += n < 34 ? 1 : 9) {
                    atEnd = end;
                    maps(k, n);
                    rows(k, n);
                    attention(k, n);
                }
            }
        }
    }

    private void maps(Kernels k, int n) {
        next = 0;
        long a = floats(n);
        long b = floats(n);
        long c = floats(n);
        long d = floats(n);
        long e = floats(n);
        for (UnaryFn f : UnaryFn.values()) {
            k.unary(F32, f, a, b, n);
            k.unaryGrad(F32, f, a, b, c, n);
        }
        long one = floats(1);
        for (BinaryFn f : BinaryFn.values()) {
            if (!f.comparison()) {
                k.binary(F32, f, a, 1, b, 1, c, n);
                k.binary(F32, f, one, 0, b, 1, c, n);
                k.binary(F32, f, a, 1, one, 0, c, n);
            }
        }
        k.affine(F32, a, 2, 1, b, n);
        k.swiglu(F32, a, b, c, n);
        k.swigluGrad(F32, a, b, c, d, e, n);
        k.adamw(F32, a, b, c, d, n, 1, 0.1, 0.9, 0.99, 1e-8, 0.1, 0.1, 0.1);
        k.sumOfSquares(F32, a, n);
        next = 0;
        floats(0);
        long halves = memory.get(0).place(n, 2, atEnd);
        k.narrow(a = floats(n), halves, n, false);
        k.narrow(a, halves, n, true);
        k.widen(halves, a, n);
    }

    private void rows(Kernels k, int n) {
        next = 0;
        long x = floats(ROWS * n);
        long y = floats(ROWS * n);
        long z = floats(ROWS * n);
        long w = floats(n);
        long dw = floats(n);
        long db = floats(n);
        long mean = floats(ROWS);
        long rstd = floats(ROWS);
        long targets = longs(ROWS);
        k.rmsNorm(F32, x, w, y, rstd, ROWS, n, 1e-5);
        k.rmsNormGrad(F32, x, w, rstd, y, z, dw, ROWS, n);
        k.layerNorm(F32, x, w, dw, y, mean, rstd, ROWS, n, 1e-5);
        k.layerNormGrad(F32, x, w, mean, rstd, y, z, dw, db, ROWS, n);
        for (boolean log : new boolean[] {false, true}) {
            k.softmax(F32, log, x, y, ROWS, n);
            k.softmaxGrad(F32, log, y, x, z, ROWS, n);
        }
        if (n > 1) {
            k.crossEntropy(F32, x, targets, mean, rstd, ROWS, n, -1);
            k.crossEntropyGrad(F32, x, targets, rstd, mean, y, ROWS, n, -1);
            k.crossEntropyWithGrad(F32, x, targets, mean, rstd, y, ROWS, n, -1);
        }
        for (ReduceFn f : ReduceFn.values()) {
            k.reduce(F32, f, x, mean, ROWS, n, 1);
            k.reduce(F32, f, x, w, 1, ROWS, n);
        }
        k.rowDots(F32, x, n, y, n, mean, ROWS, n);
        int even = n - n % 2;
        long cos = floats(ROWS * even / 2);
        long sin = floats(ROWS * even / 2);
        x = floats((ROWS - 1) * n + even);
        y = floats((ROWS - 1) * n + even);
        k.rope(F32, x, n, y, n, cos, sin, even / 2, ROWS, even, false, false);
        k.rope(F32, x, n, y, n, cos, sin, even / 2, ROWS, even, true, true);
    }

    private void attention(Kernels k, int n) {
        next = 0;
        long s = floats(ROWS * n);
        long dp = floats(ROWS * n);
        long mask = floats(n);
        long m = floats(ROWS);
        long l = floats(ROWS);
        long o = floats(ROWS * n);
        for (long some : new long[] {0, mask}) {
            k.attentionTile(F32, s, n, ROWS, n, n - 2, some, 0, 0.5, m, l, o, n, n);
            k.attentionEnd(F32, m, l, o, n, dp, n, l, ROWS, n);
            k.attentionTileGrad(F32, s, dp, n, ROWS, n, n - 2, some, 0, 0.5, m, l);
        }
    }
}
