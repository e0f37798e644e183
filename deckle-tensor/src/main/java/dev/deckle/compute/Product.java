package dev.deckle.compute;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Team;
import dev.deckle.memory.Workspace;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;
import java.util.Optional;

/// Matrix products: finds the matrices in the operands' strides, so that a transposed view costs no copy.
public final class Product {
    /// Below this many multiplications a batch of products is shared by product, not each by its rows.
    private static final long SMALL = 1 << 21;

    /// So many sums are added up in F32 before they are rounded: enough rows that what is packed for them pays.
    private static final long SUMS = 1 << 21;

    private Product() {}

    /// (..., m, k) times (..., k, n) or (k, n).
    public static Tensor matmul(Tensor a, Tensor b) {
        Shape lead = a.shape().slice(0, a.rank() - 2);
        Tensor c = Tensor.empty(a.dtype().sums(), lead.concat(Shape.of(a.dim(-2), b.dim(-1))));
        if (b.rank() == 2) {
            into(rows(c), rows(a), b, false);
        } else {
            batched(a, b, c);
        }
        return c;
    }

    /// x (..., in) as a matrix of rows: a view where x is contiguous.
    public static Tensor rows(Tensor x) {
        int rows = Math.toIntExact(x.shape().slice(0, x.rank() - 1).numel()); // -1 could not be told where in is 0
        return x.detach().reshape(rows, x.dim(-1));
    }

    /// x W^T + b.
    public static Tensor linear(Tensor x, Tensor weight, Optional<Tensor> bias) {
        Tensor y = Tensor.empty(x.dtype().sums(), x.shape().with(-1, weight.dim(0)));
        Tensor out = rows(y);
        into(out, rows(x), weight.detach().t(), false);
        bias.ifPresent(b -> Pointwise.binaryInto(BinaryFn.ADD, out, b, out));
        return y;
    }

    /// c = a b, or c += a b: all matrices, c in row-major order. Beside a b of BF16 an a of F32 is rounded to it.
    public static void into(Tensor c, Tensor a, Tensor b, boolean accumulate) {
        DType t = b.dtype();
        if (t == DType.BF16) {
            rounded(c, a, b, accumulate);
            return;
        }
        Door.current()
                .of(Family.MATMUL, t)
                .matmul(t, c.dim(0), c.dim(1), a.dim(1), a.address(), a.stride(0), a.stride(1), b.address(),
                        b.stride(0), b.stride(1), c.address(), c.stride(0), accumulate, Team.shared());
        Reference.reachabilityFence(a);
        Reference.reachabilityFence(b);
        Reference.reachabilityFence(c);
    }

    /// c = dy^T x, or c += dy^T x: the gradient of a weight of type `t`, before it is rounded to that.
    public static void weightGradInto(Tensor c, DType t, Tensor dy, Tensor x, boolean accumulate) {
        if (t == DType.BF16) {
            rounded(c, dy.t(), x, accumulate);
        } else {
            into(c, dy.t(), x, accumulate);
        }
    }

    /// c = a b, or c += a b, with what is of F32 in a and b rounded to BF16: the gradient of what such products read. c
    /// is of F32, or of BF16: then the products of some of its rows at a time are added up in F32, in memory that is
    /// given back before this returns, and rounded once.
    public static void roundedInto(Tensor c, Tensor a, Tensor b, boolean accumulate) {
        if (c.dtype() == DType.F32) {
            rounded(c, a, b, accumulate);
            return;
        }
        int rows = c.dim(0);
        int most = (int) Math.max(1, SUMS / Math.max(1, c.dim(1)));
        int each = Math.ceilDiv(rows, Math.max(1, Math.ceilDiv(rows, most)));
        for (int i = 0; i < rows; i += each) {
            int end = Math.min(rows, i + each);
            try (Workspace _ = Workspace.open()) {
                Tensor sums = Tensor.empty(DType.F32, Shape.of(end - i, c.dim(1)));
                rounded(sums, a.slice(0, i, end), b, false);
                Tensor part = c.slice(0, i, end);
                if (accumulate) {
                    Pointwise.add(sums, part);
                } else {
                    Pointwise.copy(sums, part);
                }
            }
        }
    }

    private static void rounded(Tensor c, Tensor a, Tensor b, boolean accumulate) {
        Door.current()
                .of(Family.MATMUL, DType.BF16)
                .matmulRounded(a.dtype(), b.dtype(), c.dim(0), c.dim(1), a.dim(1), a.address(), a.stride(0),
                        a.stride(1), b.address(),
                        b.stride(0), b.stride(1), c.address(), c.stride(0), accumulate, Team.shared());
        Reference.reachabilityFence(a);
        Reference.reachabilityFence(b);
        Reference.reachabilityFence(c);
    }

    private static void batched(Tensor a, Tensor b, Tensor c) {
        DType t = c.dtype();
        Kernels kernels = Door.current().of(Family.MATMUL, t);
        int m = c.dim(-2);
        int n = c.dim(-1);
        int k = a.dim(-1);
        // over the leading dimensions alone: an offset is where a matrix begins
        Walk walk = new Walk(c.shape().slice(0, c.rank() - 2), a, b, c);
        long w = t.bytes();
        long aa = a.address();
        long ba = b.address();
        long ca = c.address();
        boolean small = (long) m * n * k < SMALL;
        Team inner = small ? Team.serial() : Team.shared();
        Work.Range body = (from, to) -> walk.rows(from, to, o -> {
            for (long i = 0; i < walk.n; i++) {
                kernels.matmul(t, m, n, k, aa + (o[0] + i * walk.stride(0)) * w, a.stride(-2), a.stride(-1),
                        ba + (o[1] + i * walk.stride(1)) * w, b.stride(-2), b.stride(-1),
                        ca + (o[2] + i * walk.stride(2)) * w, n, false, inner);
            }
        });
        if (small) {
            Work.rows(walk.rows, walk.n * m * n, body, a, b, c);
        } else {
            body.run(0, walk.rows);
            Reference.reachabilityFence(a);
            Reference.reachabilityFence(b);
            Reference.reachabilityFence(c);
        }
    }
}
