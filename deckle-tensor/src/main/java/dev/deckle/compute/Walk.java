package dev.deckle.compute;

import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// A walk through operands of one shape, row by row: neighbouring dimensions that lie together in every operand are
/// joined first, so that contiguous operands are one long row.
final class Walk {
    /// What to do with one row: `offsets[k]` is where it begins in operand k, in elements.
    @FunctionalInterface
    interface Row {
        void run(long[] offsets);
    }

    private final long[] dims;
    private final long[][] strides;
    private final int last;

    /// How long a row is.
    final long n;

    /// How many rows there are.
    final long rows;

    /// Over the dimensions of `shape`, which are the first ones of every operand.
    Walk(Shape shape, Tensor... operands) {
        int rank = shape.rank();
        long[] d = new long[rank + 1];
        long[][] s = new long[operands.length][rank + 1];
        int out = -1;
        for (int i = 0; i < rank; i++) {
            int size = shape.dim(i);
            if (size == 1) {
                continue;
            }
            if (out >= 0 && joins(s, out, operands, i, size)) {
                d[out] *= size;
            } else {
                d[++out] = size;
            }
            for (int k = 0; k < operands.length; k++) {
                s[k][out] = operands[k].stride(i);
            }
        }
        if (out < 0) {
            d[++out] = 1;
            for (long[] each : s) {
                each[0] = 1;
            }
        }
        dims = d;
        strides = s;
        last = out;
        n = d[out];
        long count = 1;
        for (int i = 0; i < out; i++) {
            count *= d[i];
        }
        rows = shape.numel() == 0 ? 0 : count;
    }

    private static boolean joins(long[][] s, int out, Tensor[] operands, int i, int size) {
        for (int k = 0; k < operands.length; k++) {
            if (s[k][out] != operands[k].stride(i) * size) {
                return false;
            }
        }
        return true;
    }

    /// Elements between neighbours of a row in operand k.
    long stride(int k) {
        return strides[k][last];
    }

    void rows(long from, long to, Row body) {
        long[] offsets = new long[strides.length];
        long[] index = new long[last];
        long rest = from;
        for (int i = last - 1; i >= 0; i--) {
            index[i] = rest % dims[i];
            rest /= dims[i];
            for (int k = 0; k < offsets.length; k++) {
                offsets[k] += index[i] * strides[k][i];
            }
        }
        for (long row = from; row < to; row++) {
            body.run(offsets);
            for (int i = last - 1; i >= 0; i--) {
                index[i]++;
                for (int k = 0; k < offsets.length; k++) {
                    offsets[k] += strides[k][i];
                }
                if (index[i] < dims[i]) {
                    break;
                }
                for (int k = 0; k < offsets.length; k++) {
                    offsets[k] -= dims[i] * strides[k][i];
                }
                index[i] = 0;
            }
        }
    }
}
