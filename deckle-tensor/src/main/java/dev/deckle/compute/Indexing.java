package dev.deckle.compute;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Native;
import dev.deckle.memory.Workspace;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.LongStream;

/// Look-ups by I64 index, and their gradients, which scatter.
public final class Indexing {
    private Indexing() {}

    /// Rows of weight (n, d) for ids (...); BF16 becomes F32.
    public static Tensor embedding(Tensor weight, Tensor ids) {
        Tensor table = Pointwise.contiguous(weight);
        Tensor index = checked("Embedding", Pointwise.contiguous(ids), weight.dim(0));
        int d = weight.dim(1);
        boolean half = weight.dtype() == DType.BF16;
        Kernels k = Door.current().of(Family.ELEMENTWISE, DType.F32);
        Tensor y = Tensor.empty(half ? DType.F32 : weight.dtype(), ids.shape().concat(Shape.of(d)));
        long row = (long) d * weight.dtype().bytes();
        long ta = table.address();
        long ia = index.address();
        long ya = y.address();
        Work.rows(ids.numel(), d, (from, to) -> {
            for (long i = from; i < to; i++) {
                long at = ta + Native.getLong(ia + 8 * i) * row;
                if (half) {
                    k.widen(at, ya + i * 4 * d, d);
                } else {
                    Native.copy(at, ya + i * row, row);
                }
            }
        }, table, index, y);
        return y;
    }

    /// Adds each row of dy (..., d) to row ids[...] of dw (n, d). With dw of BF16 the rows of one id are added up in
    /// F32 first.
    public static void embeddingGrad(Tensor ids, Tensor dy, Tensor dw) {
        if (dw.dtype() == DType.BF16) {
            sumsOfRows(ids, dy, dw);
        } else {
            addRows(ids, dy, dw);
        }
    }

    /// The sums of the rows of each id that occurs, in memory that is given back, then each to its row of dw.
    private static void sumsOfRows(Tensor ids, Tensor dy, Tensor dw) {
        long[] id = ids.toLongs();
        long[] distinct = LongStream.of(id).distinct().toArray();
        Map<Long, Integer> place = new HashMap<>();
        for (int i = 0; i < distinct.length; i++) {
            place.put(distinct[i], i);
        }
        try (Workspace _ = Workspace.open()) {
            Tensor sums = Tensor.zeros(DType.F32, Shape.of(distinct.length, dw.dim(1)));
            addRows(Tensor.of(LongStream.of(id).map(place::get).toArray(), ids.shape().toArray()), dy, sums);
            Kernels k = Door.current().of(Family.ELEMENTWISE, DType.F32);
            int d = dw.dim(1);
            long sa = sums.address();
            long wa = dw.address();
            Work.rows(distinct.length, d, (from, to) -> {
                for (long i = from; i < to; i++) {
                    k.narrow(sa + 4 * i * d, wa + 2 * distinct[(int) i] * d, d, true);
                }
            }, sums, dw);
        }
    }

    /// In order: tasks share the columns, so no two write to one number.
    private static void addRows(Tensor ids, Tensor dy, Tensor dw) {
        Tensor index = Pointwise.contiguous(ids);
        Tensor g = Pointwise.contiguous(dy);
        DType t = dw.dtype();
        Kernels k = Door.current().of(Family.ELEMENTWISE, t);
        int d = dw.dim(1);
        long w = t.bytes();
        long ia = index.address();
        long ga = g.address();
        long wa = dw.address();
        Work.split(d, 64, (from, to) -> {
            for (long i = 0; i < index.numel(); i++) {
                long at = wa + (Native.getLong(ia + 8 * i) * d + from) * w;
                k.binary(t, BinaryFn.ADD, at, 1, ga + (i * d + from) * w, 1, at, to - from);
            }
        });
        Reference.reachabilityFence(index);
        Reference.reachabilityFence(g);
        Reference.reachabilityFence(dw);
    }

    /// x[..., index[..., j, ...], ...] along `dim`.
    public static Tensor gather(Tensor x, int dim, Tensor index) {
        Tensor in = Pointwise.contiguous(x);
        Tensor at = checked("Gather", Pointwise.contiguous(index), x.dim(dim));
        Tensor y = Tensor.empty(x.dtype(), index.shape());
        DType t = x.dtype();
        scatter(in, dim, at, (i, j) -> {
            if (t.floating()) {
                Elements.set(t, y.address(), i, Elements.get(t, in.address(), j));
            } else {
                Elements.setLong(t, y.address(), i, Elements.getLong(t, in.address(), j));
            }
        });
        return y;
    }

    /// Adds dy to the elements of dx that [#gather] read. With dx of BF16 all is added up in F32 first.
    public static void gatherGrad(int dim, Tensor index, Tensor dy, Tensor dx) {
        if (dx.dtype() == DType.BF16) {
            try (Workspace _ = Workspace.open()) {
                Tensor sums = Tensor.zeros(DType.F32, dx.shape());
                gatherGrad(dim, index, dy, sums);
                Pointwise.add(sums, dx);
            }
            return;
        }
        Tensor at = Pointwise.contiguous(index);
        Tensor g = Pointwise.contiguous(dy);
        DType t = dx.dtype();
        DType s = g.dtype();
        scatter(dx, dim, at, (i, j) -> Elements.set(t, dx.address(), j,
                Elements.get(t, dx.address(), j) + Elements.get(s, g.address(), i)));
    }

    @FunctionalInterface
    private interface Pair {
        void run(long inIndex, long inX);
    }

    private static void scatter(Tensor x, int dim, Tensor index, Pair pair) {
        long inner = x.shape().slice(dim + 1, x.rank()).numel();
        long n = index.dim(dim);
        for (long i = 0; i < index.numel(); i++) {
            long outer = i / inner / n;
            long j = Native.getLong(index.address() + 8 * i);
            pair.run(i, (outer * x.dim(dim) + j) * inner + i % inner);
        }
    }

    private static Tensor checked(String op, Tensor index, int n) {
        for (long i = 0; i < index.numel(); i++) {
            long id = Native.getLong(index.address() + 8 * i);
            if (id < 0 || id >= n) {
                throw new IllegalArgumentException(op + ": index " + id + " is not in 0.." + (n - 1));
            }
        }
        return index;
    }
}
