package dev.deckle.tensor;

import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/// The type and shape of every operation's result, and every complaint about operands that do not fit: each names the
/// operation, the shapes, the types and what would help.
final class Shapes {
    /// What a result will be.
    record Result(DType dtype, Shape shape) {}

    private Shapes() {}

    static Result of(Op op) {
        return switch (op) {
            case Op.Unary(_, Tensor x) -> floating(op, x);
            case Op.Affine(Tensor x, _, _) -> floating(op, x);
            case Op.Binary b -> binary(b);
            case Op.Where w -> where(w);
            case Op.Cast(Tensor x, DType to) -> new Result(to, x.shape());
            case Op.Reshape(Tensor x, Shape s) -> {
                require(x.shape().numel() == s.numel(), op, x, () -> "has " + x.numel() + " elements, " + s + " needs "
                        + s.numel());
                yield new Result(x.dtype(), s);
            }
            case Op.Permute(Tensor x, List<Integer> order) -> {
                require(namesEachOnce(order, x.rank()), op, x,
                        () -> "cannot be permuted by " + order + ": each dimension must be named once");
                int[] dims = new int[x.rank()];
                for (int i = 0; i < dims.length; i++) {
                    dims[i] = x.dim(order.get(i));
                }
                yield new Result(x.dtype(), Shape.of(dims));
            }
            case Op.Expand(Tensor x, Shape s) -> {
                require(x.shape().expandsTo(s), op, x, () -> "cannot be expanded to " + s + ": only sizes of 1 repeat");
                yield new Result(x.dtype(), s);
            }
            case Op.Slice(Tensor x, int dim, int start, int end, int step) -> {
                require(start >= 0 && start <= end && end <= x.dim(dim) && step > 0, op, x, () -> "cannot be sliced ["
                        + start + ":" + end + ":" + step + "] in dimension " + dim);
                yield new Result(x.dtype(), x.shape().with(dim, (end - start + step - 1) / step));
            }
            case Op.Contiguous(Tensor x) -> new Result(x.dtype(), x.shape());
            case Op.Recomputed(Tensor x, _, _) -> floating(op, x);
            case Op.Concat(List<Tensor> parts, int dim) -> concat(op, parts, dim);
            case Op.Reduce(_, Tensor x, int dim) -> new Result(floating(op, x).dtype(), x.shape().with(dim, 1));
            case Op.ArgMax(Tensor x, int dim) -> {
                require(x.dim(dim) > 0, op, x, () -> "has nothing in dimension " + dim);
                yield new Result(DType.I64, x.shape().with(dim, 1));
            }
            case Op.CumSum(Tensor x, _) -> floating(op, x);
            case Op.MatMul(Tensor a, Tensor b) -> matmul(op, a, b);
            case Op.Linear l -> linear(l);
            case Op.Gather(Tensor x, int dim, Tensor index) -> {
                require(index.dtype() == DType.I64, op, index, "must be I64 to be an index");
                require(index.rank() == x.rank() && index.shape().with(dim, 1).equals(x.shape().with(dim, 1)), op, x,
                        () -> "does not fit the index " + index.shape() + ": all dimensions but " + dim
                                + " must be equal");
                yield new Result(x.dtype(), index.shape());
            }
            case Op.Embedding(Tensor weight, Tensor ids) -> {
                require(ids.dtype() == DType.I64, op, ids, "must be I64 ids");
                require(weight.rank() == 2, op, weight, "must be (rows, width)");
                yield new Result(weight.dtype() == DType.BF16 ? DType.F32 : weight.dtype(),
                        ids.shape().concat(Shape.of(weight.dim(1))));
            }
            case Op.Softmax(Tensor x, _) -> {
                require(x.rank() > 0, op, x, "needs a dimension");
                yield floating(op, x);
            }
            case Op.RmsNorm(Tensor x, Tensor weight, _, DType dtype, _) -> {
                vector(op, weight, x, "weight");
                yield rounded(op, x, dtype);
            }
            case Op.LayerNorm(Tensor x, Tensor weight, Tensor bias, _, _, _) -> {
                vector(op, weight, x, "weight");
                vector(op, bias, x, "bias");
                yield floating(op, x);
            }
            case Op.Rope r -> rope(r);
            case Op.SwiGlu(Tensor gate, Tensor up, DType dtype) -> {
                same(op, gate, up);
                require(gate.shape().equals(up.shape()), op, gate,
                        () -> "and up " + up.shape() + " must have equal shapes");
                yield rounded(op, gate, dtype);
            }
            case Op.CrossEntropy(Tensor logits, Tensor targets, _, _) -> {
                require(logits.rank() == 2, op, logits, "must be (rows, classes)");
                oneTarget(op, targets, logits.shape());
                yield new Result(floating(op, logits).dtype(), Shape.of(logits.dim(0)));
            }
            case Op.LinearCrossEntropy l -> {
                require(l.x().rank() == 2, op, l.x(), "must be (rows, width)");
                Shape logits = linear(new Op.Linear(l.x(), l.weight(), Optional.empty())).shape();
                oneTarget(op, l.targets(), logits);
                yield new Result(floating(op, l.x()).dtype(), Shape.SCALAR);
            }
            case Op.Attention a -> attention(a);
            case Op.PagedAttention a -> pagedAttention(a);
        };
    }

    private static void oneTarget(Op op, Tensor targets, Shape logits) {
        require(targets.dtype() == DType.I64 && targets.shape().equals(Shape.of(logits.dim(0))), op, targets,
                () -> "must be I64 of shape (" + logits.dim(0) + "), one target a row of logits " + logits);
    }

    private static boolean namesEachOnce(List<Integer> order, int rank) {
        int named = 0;
        for (int i : order) {
            named |= i < 0 || i >= rank ? 0 : 1 << i;
        }
        return order.size() == rank && named == (1 << rank) - 1;
    }

    private static Result binary(Op.Binary op) {
        same(op, op.a(), op.b());
        Shape s = Shape.broadcast(op.label(), op.a().shape(), op.b().shape());
        if (op.fn().comparison()) {
            return new Result(DType.BOOL, s);
        }
        return new Result(floating(op, op.a()).dtype(), s);
    }

    private static Result where(Op.Where op) {
        same(op, op.a(), op.b());
        require(op.condition().dtype() == DType.BOOL, op, op.condition(), "must be BOOL to be a condition");
        Shape s = Shape.broadcast("where", op.a().shape(), op.b().shape());
        return new Result(op.a().dtype(), Shape.broadcast("where", op.condition().shape(), s));
    }

    private static Result concat(Op op, List<Tensor> parts, int dim) {
        if (parts.isEmpty()) {
            throw new IllegalArgumentException("Concat: there is nothing to concatenate");
        }
        Tensor first = parts.getFirst();
        int size = 0;
        for (Tensor p : parts) {
            same(op, first, p);
            require(p.rank() == first.rank() && p.shape().with(dim, 0).equals(first.shape().with(dim, 0)), op, p,
                    () -> "does not fit " + first.shape() + ": all dimensions but " + dim + " must be equal");
            size = Math.addExact(size, p.dim(dim));
        }
        return new Result(first.dtype(), first.shape().with(dim, size));
    }

    private static Result matmul(Op op, Tensor a, Tensor b) {
        product(op, a, b);
        require(b.dtype() != DType.BF16 || b.rank() == 2, op, b, "must be one matrix (k, n) to be multiplied as BF16: "
                + "cast it to F32 first");
        require(a.rank() >= 2 && b.rank() >= 2, op, a,
                () -> "and " + b.shape() + " must both be matrices: use reshape or "
                        + "unsqueeze for a vector");
        require(a.dim(-1) == b.dim(-2), op, a, () -> "times " + b.shape() + ": the inner sizes " + a.dim(-1) + " and "
                + b.dim(-2) + " differ" + (a.dim(-1) == b.dim(-1) ? "; did you mean b.transpose(-2, -1)?" : ""));
        Shape lead = a.shape().slice(0, a.rank() - 2);
        require(b.rank() == 2 || lead.equals(b.shape().slice(0, b.rank() - 2)), op, a, () -> "times " + b.shape()
                + ": leading dimensions must be equal, or b a single matrix; use expand to repeat one");
        return new Result(a.dtype().sums(), lead.concat(Shape.of(a.dim(-2), b.dim(-1))));
    }

    private static Result linear(Op.Linear op) {
        Tensor x = op.x();
        Tensor w = op.weight();
        product(op, x, w);
        require(w.rank() == 2, op, w, "must be (out, in) to be a weight");
        require(x.rank() >= 1 && x.dim(-1) == w.dim(1), op, x, () -> "does not fit weight " + w.shape()
                + ": the last size must be " + w.dim(1));
        op.bias().ifPresent(b -> {
            require(b.dtype() == x.dtype().sums(), op, x, () -> "and " + b.dtype() + " " + b.shape()
                    + " must have the same type: cast one of them");
            require(b.shape().equals(Shape.of(w.dim(0))), op, b, () -> "must be (" + w.dim(0) + ") to be the bias");
        });
        return new Result(x.dtype().sums(), x.shape().with(-1, w.dim(0)));
    }

    /// Both of one type, or BF16 weights for F32.
    private static void product(Op op, Tensor x, Tensor weight) {
        if (x.dtype() != DType.BF16) {
            floating(op, x);
        }
        if (weight.dtype() != DType.BF16 || x.dtype() != DType.F32) {
            same(op, x, weight);
        }
    }

    /// Computed in x's type, and rounded to BF16 where that is asked for.
    private static Result rounded(Op op, Tensor x, DType dtype) {
        require(dtype == x.dtype() || dtype == DType.BF16 && x.dtype() == DType.F32, op, x,
                () -> "cannot give " + dtype + ": only its own type, or BF16 from F32");
        return new Result(dtype, floating(op, x).shape());
    }

    private static Result rope(Op.Rope op) {
        Tensor x = op.x();
        require(x.rank() >= 2 && x.dim(-1) % 2 == 0, op, x, "must be (..., T, D) with an even D");
        for (Tensor table : List.of(op.cos(), op.sin())) {
            same(op, x, table);
            Shape one = Shape.of(x.dim(-2), x.dim(-1) / 2);
            require(table.shape().equals(one) || x.rank() > 2 && table.shape().equals(Shape.of(x.dim(0)).concat(one)),
                    op, table, () -> "must be " + one + " or one such table for each of the batch, for x " + x.shape());
        }
        return floating(op, x);
    }

    private static Result attention(Op.Attention op) {
        Tensor q = op.query();
        Tensor k = op.key();
        Tensor v = op.value();
        same(op, q, k);
        same(op, q, v);
        require(q.rank() == 4 && k.rank() == 4 && v.rank() == 4, op, q, () -> "key " + k.shape() + " value " + v.shape()
                + ": all must be (batch, heads, length, head_dim)");
        require(q.dim(0) == k.dim(0) && q.dim(3) == k.dim(3), op, q, () -> "does not fit key " + k.shape()
                + ": batch and head_dim must be equal");
        require(k.shape().slice(0, 3).equals(v.shape().slice(0, 3)), op, k, () -> "does not fit value " + v.shape()
                + ": batch, heads and length must be equal");
        require(k.dim(1) > 0 && q.dim(1) % k.dim(1) == 0, op, q, () -> "has " + q.dim(1)
                + " heads, which the " + k.dim(1) + " key heads do not divide");
        op.mask().ifPresent(m -> {
            same(op, q, m);
            Shape full = Shape.of(q.dim(0), q.dim(1), q.dim(2), k.dim(2));
            require(m.shape().expandsTo(full), op, m, () -> "cannot mask scores of shape " + full);
        });
        require(op.window() == 0 || op.window() > 0 && op.causal() && op.scale() > 0, op, q, "with window "
                + op.window() + ": a window of at least 1 is over a causal past, with a positive scale");
        require(!op.rounded() || q.dtype() == DType.F32, op, q, "must be F32 to be rounded");
        return new Result(floating(op, q).dtype(), q.shape().with(3, v.dim(3)));
    }

    private static Result pagedAttention(Op.PagedAttention op) {
        Tensor q = op.query();
        Tensor k = op.keys();
        Tensor v = op.values();
        same(op, q, k);
        same(op, q, v);
        require(q.rank() == 4 && k.rank() == 4 && v.rank() == 4, op, q, "keys " + k.shape() + " values " + v.shape()
                + ": query must be (batch, heads, length, head_dim), keys and values (blocks, block_size, heads, "
                + "head_dim)");
        require(q.dim(3) == k.dim(3), op, q, "does not fit keys " + k.shape() + ": head_dim must be equal");
        require(k.shape().slice(0, 3).equals(v.shape().slice(0, 3)), op, k, "does not fit values " + v.shape()
                + ": blocks, block_size and heads must be equal");
        require(k.dim(1) > 0 && k.dim(2) > 0 && q.dim(1) % k.dim(2) == 0, op, q, "has " + q.dim(1)
                + " heads, which the " + k.dim(2) + " key heads do not divide");
        Tensor table = op.table();
        require(table.dtype() == DType.I64 && table.rank() == 2 && table.dim(0) == q.dim(0), op, table,
                "must be I64 of shape (" + q.dim(0) + ", blocks of a row) to be the table");
        Tensor lengths = op.lengths();
        require(lengths.dtype() == DType.I64 && lengths.shape().equals(Shape.of(q.dim(0))), op, lengths,
                "must be I64 of shape (" + q.dim(0) + ") to be the lengths");
        require(op.window() == 0 || op.window() > 0 && op.scale() > 0, op, q, "with window " + op.window()
                + ": a window must be at least 1, and the scale positive with it");
        return new Result(floating(op, q).dtype(), q.shape().with(3, v.dim(3)));
    }

    private static Result floating(Op op, Tensor x) {
        require(x.dtype() == DType.F32 || x.dtype() == DType.F64, op, x,
                "cannot be computed with: cast it to F32 first");
        return new Result(x.dtype(), x.shape());
    }

    private static void vector(Op op, Tensor w, Tensor x, String name) {
        same(op, x, w);
        require(x.rank() >= 1 && w.shape().equals(Shape.of(x.dim(-1))), op, w,
                () -> "does not fit x " + x.shape() + ": the "
                        + name + " must be (" + (x.rank() == 0 ? 0 : x.dim(-1)) + ")");
    }

    private static void same(Op op, Tensor a, Tensor b) {
        require(a.dtype() == b.dtype(), op, a, () -> "and " + b.dtype() + " " + b.shape()
                + " must have the same type: cast one of them");
    }

    private static void require(boolean fits, Op op, Tensor x, String complaint) {
        if (!fits) {
            throw new IllegalArgumentException(op.label() + ": " + x.dtype() + " " + x.shape() + " " + complaint);
        }
    }

    /// The same with a complaint that is put together only if it is needed: that takes longer than the operation.
    private static void require(boolean fits, Op op, Tensor x, Supplier<String> complaint) {
        if (!fits) {
            require(false, op, x, complaint.get());
        }
    }
}
