package dev.deckle.compute;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.UnaryFn;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.List;

/// Element-wise work and copies: finds the rows of the operands and hands them to the kernels.
public final class Pointwise {
    private Pointwise() {}

    public static Tensor unary(UnaryFn f, Tensor x) {
        Tensor in = contiguous(x);
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        Kernels k = kernels(x);
        long xa = in.address();
        long ya = y.address();
        int w = x.dtype().bytes();
        Work.rows(x.numel(), 1, (from, to) -> k.unary(x.dtype(), f, xa + from * w, ya + from * w, to - from), in, y);
        return y;
    }

    /// dy f'(x).
    public static Tensor unaryGrad(UnaryFn f, Tensor x, Tensor dy) {
        Tensor in = contiguous(x);
        Tensor g = contiguous(dy);
        Tensor dx = Tensor.empty(x.dtype(), x.shape());
        Kernels k = kernels(x);
        long xa = in.address();
        long ga = g.address();
        long da = dx.address();
        int w = x.dtype().bytes();
        Work.rows(x.numel(), 1,
                (from, to) -> k.unaryGrad(x.dtype(), f, xa + from * w, ga + from * w, da + from * w, to - from), in, g,
                dx);
        return dx;
    }

    public static Tensor affine(Tensor x, double mul, double add) {
        Tensor in = contiguous(x);
        Tensor y = Tensor.empty(x.dtype(), x.shape());
        Kernels k = kernels(x);
        long xa = in.address();
        long ya = y.address();
        int w = x.dtype().bytes();
        Work.rows(x.numel(), 1, (from, to) -> k.affine(x.dtype(), xa + from * w, mul, add, ya + from * w, to - from),
                in, y);
        return y;
    }

    /// f(a, b) of operands that broadcast to `shape`.
    public static Tensor binary(BinaryFn f, Tensor a, Tensor b, Shape shape) {
        if (f.comparison()) {
            return compare(f, spread(a, shape), spread(b, shape));
        }
        return binaryInto(f, a, b, Tensor.empty(a.dtype(), shape));
    }

    /// The same, written into `y`, which may be an operand.
    public static Tensor binaryInto(BinaryFn f, Tensor a, Tensor b, Tensor y) {
        Tensor left = spread(a, y.shape());
        Tensor right = spread(b, y.shape());
        Walk walk = new Walk(y.shape(), left, right, y);
        if (walk.stride(0) > 1 || walk.stride(1) > 1 || walk.stride(2) != 1) {
            // the kernels walk rows without gaps: bring the operands into one order
            Tensor whole = Tensor.empty(y.dtype(), y.shape());
            binaryInto(f, contiguous(left), contiguous(right), whole);
            return copy(whole, y);
        }
        DType t = y.dtype();
        Kernels k = kernels(y);
        long w = t.bytes();
        int sa = (int) walk.stride(0);
        int sb = (int) walk.stride(1);
        long aa = left.address();
        long ba = right.address();
        long ya = y.address();
        if (walk.rows == 1) {
            Work.rows(walk.n, 1, (from, to) -> k.binary(t, f, aa + from * sa * w, sa, ba + from * sb * w, sb,
                    ya + from * w, to - from), left, right, y);
        } else {
            Work.rows(walk.rows, walk.n, (from, to) -> walk.rows(from, to, o -> k.binary(t, f, aa + o[0] * w, sa,
                    ba + o[1] * w, sb, ya + o[2] * w, walk.n)), left, right, y);
        }
        return y;
    }

    /// Adds g to `sum`, of the same shape. A sum of BF16 is added to in F32 and rounded.
    public static void add(Tensor g, Tensor sum) {
        if (sum.dtype() != DType.BF16) {
            binaryInto(BinaryFn.ADD, sum, g, sum);
            return;
        }
        Tensor term = g.dtype() == DType.F32 ? contiguous(g) : cast(g, DType.F32);
        Walk walk = new Walk(sum.shape(), term, sum);
        Kernels k = Door.current().of(Family.ELEMENTWISE, DType.F32);
        long ga = term.address();
        long sa = sum.address();
        if (walk.stride(0) != 1 || walk.stride(1) != 1) {
            Work.rows(walk.rows, walk.n, (a, b) -> walk.rows(a, b, o -> {
                for (long i = 0; i < walk.n; i++) {
                    k.narrow(ga + 4 * (o[0] + i * walk.stride(0)), sa + 2 * (o[1] + i * walk.stride(1)), 1, true);
                }
            }), term, sum);
        } else {
            rows(walk, (i, j, n) -> k.narrow(ga + 4 * i, sa + 2 * j, n, true), term, sum);
        }
    }

    private static Tensor compare(BinaryFn f, Tensor a, Tensor b) {
        Tensor y = Tensor.empty(DType.BOOL, a.shape());
        Walk walk = new Walk(a.shape(), a, b, y);
        DType t = a.dtype();
        long aa = a.address();
        long ba = b.address();
        long ya = y.address();
        boolean exact = t == DType.I64;
        Work.rows(walk.rows, walk.n, (from, to) -> walk.rows(from, to, o -> {
            for (long i = 0; i < walk.n; i++) {
                long p = o[0] + i * walk.stride(0);
                long q = o[1] + i * walk.stride(1);
                boolean r = exact
                        ? compare(f, Long.compare(Elements.getLong(t, aa, p), Elements.getLong(t, ba, q)))
                        : f.of(Elements.get(t, aa, p), Elements.get(t, ba, q)) != 0;
                Elements.setLong(DType.BOOL, ya, o[2] + i * walk.stride(2), r ? 1 : 0);
            }
        }), a, b, y);
        return y;
    }

    private static boolean compare(BinaryFn f, int sign) {
        return f.of(sign, 0) != 0;
    }

    public static Tensor where(Tensor condition, Tensor a, Tensor b, Shape shape) {
        Tensor c = spread(condition, shape);
        Tensor left = spread(a, shape);
        Tensor right = spread(b, shape);
        Tensor y = Tensor.empty(a.dtype(), shape);
        Walk walk = new Walk(shape, c, left, right, y);
        DType t = a.dtype();
        long ca = c.address();
        long aa = left.address();
        long ba = right.address();
        long ya = y.address();
        Work.rows(walk.rows, walk.n, (from, to) -> walk.rows(from, to, o -> {
            for (long i = 0; i < walk.n; i++) {
                boolean yes = Elements.getLong(DType.BOOL, ca, o[0] + i * walk.stride(0)) != 0;
                long at = yes ? o[1] + i * walk.stride(1) : o[2] + i * walk.stride(2);
                move(t, yes ? aa : ba, at, ya, o[3] + i * walk.stride(3));
            }
        }), c, left, right, y);
        return y;
    }

    public static Tensor cast(Tensor x, DType dtype) {
        return copy(x, Tensor.empty(dtype, x.shape()));
    }

    /// x itself if its elements lie in row-major order, else a copy that does.
    public static Tensor contiguous(Tensor x) {
        return x.isContiguous() ? x : copy(x, Tensor.empty(x.dtype(), x.shape()));
    }

    public static Tensor concat(List<Tensor> parts, int dim, Shape shape) {
        Tensor y = Tensor.empty(parts.getFirst().dtype(), shape);
        int at = 0;
        for (Tensor p : parts) {
            copy(p.detach(), y.slice(dim, at, at + p.dim(dim)));
            at += p.dim(dim);
        }
        return y;
    }

    /// Every element of `from` into `to`, which has the same shape, any layout and type, and is returned.
    public static Tensor copy(Tensor from, Tensor to) {
        Walk walk = new Walk(to.shape(), from, to);
        DType s = from.dtype();
        DType d = to.dtype();
        long fa = from.address();
        long ta = to.address();
        if (walk.stride(0) == 1 && walk.stride(1) == 1) {
            Kernels k = Door.current().of(Family.ELEMENTWISE, DType.F32);
            Piece piece = s == d ? (i, j, n) -> Native.copy(fa + i * s.bytes(), ta + j * s.bytes(), n * s.bytes())
                    : s == DType.F32 && d == DType.BF16 ? (i, j, n) -> k.narrow(fa + 4 * i, ta + 2 * j, n, false)
                            : s == DType.BF16 && d == DType.F32 ? (i, j, n) -> k.widen(fa + 2 * i, ta + 4 * j, n)
                                    : null;
            if (piece != null) {
                rows(walk, piece, from, to);
                return to;
            }
        }
        Work.rows(walk.rows, walk.n, (a, b) -> walk.rows(a, b, o -> {
            for (long i = 0; i < walk.n; i++) {
                long p = o[0] + i * walk.stride(0);
                long q = o[1] + i * walk.stride(1);
                if (s == d) {
                    move(s, fa, p, ta, q);
                } else if (s.floating() || d.floating() || d == DType.BOOL) {
                    Elements.set(d, ta, q, Elements.get(s, fa, p));
                } else {
                    Elements.setLong(d, ta, q, Elements.getLong(s, fa, p));
                }
            }
        }), from, to);
        return to;
    }

    /// Part of a row: its first element in each of two operands, and how many there are.
    @FunctionalInterface
    private interface Piece {
        void run(long i, long j, long n);
    }

    /// Over rows without gaps, one long row in pieces.
    private static void rows(Walk walk, Piece piece, Tensor... touched) {
        if (walk.rows == 1) {
            Work.rows(walk.n, 1, (a, b) -> piece.run(a, a, b - a), touched);
        } else {
            Work.rows(walk.rows, walk.n, (a, b) -> walk.rows(a, b, o -> piece.run(o[0], o[1], walk.n)), touched);
        }
    }

    /// silu(gate) up, of `type`: theirs or BF16.
    public static Tensor swiglu(Tensor gate, Tensor up, DType type) {
        Tensor g = contiguous(gate);
        Tensor u = contiguous(up);
        Tensor y = Tensor.empty(type, gate.shape());
        DType t = gate.dtype();
        Kernels k = Door.current().of(Family.SWIGLU, t);
        long w = t.bytes();
        long ga = g.address();
        long ua = u.address();
        long ya = y.address();
        if (type == t) {
            Work.rows(y.numel(), 1, (from, to) -> k.swiglu(t, ga + from * w, ua + from * w, ya + from * w, to - from),
                    g, u, y);
        } else {
            Rounded.rows(y.numel(), 1, (i, n, floats) -> k.swiglu(t, ga + i * w, ua + i * w, floats[0], n), y);
            Work.keepAlive(g, u);
        }
        return y;
    }

    /// The gradients of gate and up, of `type`: theirs or BF16.
    public static List<Tensor> swigluGrad(Tensor gate, Tensor up, Tensor dy, DType type) {
        Tensor g = contiguous(gate);
        Tensor u = contiguous(up);
        Tensor d = contiguous(dy);
        Tensor dg = Tensor.empty(type, g.shape());
        Tensor du = Tensor.empty(type, g.shape());
        DType t = g.dtype();
        Kernels k = Door.current().of(Family.SWIGLU, t);
        long w = t.bytes();
        long ga = g.address();
        long ua = u.address();
        long da = d.address();
        long dga = dg.address();
        long dua = du.address();
        if (type == t) {
            Work.rows(g.numel(), 1, (from, to) -> k.swigluGrad(t, ga + from * w, ua + from * w, da + from * w,
                    dga + from * w, dua + from * w, to - from), g, u, d, dg, du);
        } else {
            Rounded.rows(g.numel(), 1, (i, n, floats) -> k.swigluGrad(t, ga + i * w, ua + i * w, da + i * w,
                    floats[0], floats[1], n), dg, du);
            Work.keepAlive(g, u, d);
        }
        return List.of(dg, du);
    }

    private static void move(DType t, long from, long i, long to, long j) {
        switch (t.bytes()) {
            case 8 -> Native.setLong(to + 8 * j, Native.getLong(from + 8 * i));
            case 4 -> Native.setInt(to + 4 * j, Native.getInt(from + 4 * i));
            case 2 -> Native.ALL.set(ValueLayout.JAVA_SHORT, to + 2 * j,
                    Native.ALL.get(ValueLayout.JAVA_SHORT, from + 2 * i));
            default -> Native.ALL.set(ValueLayout.JAVA_BYTE, to + j,
                    Native.ALL.get(ValueLayout.JAVA_BYTE, from + i));
        }
    }

    /// A view of x in the larger shape, outside of any recording.
    private static Tensor spread(Tensor x, Shape shape) {
        return x.detach().expand(shape);
    }

    private static Kernels kernels(Tensor x) {
        return Door.current().of(Family.ELEMENTWISE, x.dtype());
    }
}
