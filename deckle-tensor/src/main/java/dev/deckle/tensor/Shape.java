package dev.deckle.tensor;

import java.util.Arrays;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// The sizes of a tensor's dimensions; immutable. `()` is the shape of a single number.
public final class Shape {
    /// The shape of a single number.
    public static final Shape SCALAR = new Shape(new int[0]);

    private final int[] dims;
    private final long numel;

    private Shape(int[] dims) {
        this.dims = dims;
        long n = 1;
        for (int d : dims) {
            if (d < 0) {
                throw new IllegalArgumentException("a dimension cannot be negative: " + Arrays.toString(dims));
            }
            n = Math.multiplyExact(n, (long) d);
        }
        numel = n;
    }

    public static Shape of(int... dims) {
        return dims.length == 0 ? SCALAR : new Shape(dims.clone());
    }

    public int rank() {
        return dims.length;
    }

    /// Size of dimension `i`; -1 is the last one.
    public int dim(int i) {
        return dims[axis(i)];
    }

    /// `i` counted from the front; negative ones count from the back.
    ///
    /// @throws IllegalArgumentException if there is no such dimension
    public int axis(int i) {
        int a = i < 0 ? i + dims.length : i;
        if (a < 0 || a >= dims.length) {
            throw new IllegalArgumentException("there is no dimension " + i + " in shape " + this);
        }
        return a;
    }

    /// How many elements.
    public long numel() {
        return numel;
    }

    public int[] toArray() {
        return dims.clone();
    }

    /// This shape with dimension `i` replaced.
    public Shape with(int i, int size) {
        int[] d = dims.clone();
        d[axis(i)] = size;
        return new Shape(d);
    }

    /// This shape without dimension `i`.
    public Shape without(int i) {
        int a = axis(i);
        return new Shape(IntStream.range(0, dims.length).filter(j -> j != a).map(j -> dims[j]).toArray());
    }

    /// This shape with a new dimension before position `i` (0..rank).
    public Shape insert(int i, int size) {
        int[] d = new int[dims.length + 1];
        System.arraycopy(dims, 0, d, 0, i);
        d[i] = size;
        System.arraycopy(dims, i, d, i + 1, dims.length - i);
        return new Shape(d);
    }

    /// The dimensions from `from` (inclusive) to `to` (exclusive).
    public Shape slice(int from, int to) {
        return new Shape(Arrays.copyOfRange(dims, from, to));
    }

    /// This shape followed by another.
    public Shape concat(Shape other) {
        int[] d = Arrays.copyOf(dims, dims.length + other.dims.length);
        System.arraycopy(other.dims, 0, d, dims.length, other.dims.length);
        return new Shape(d);
    }

    /// Element strides of a contiguous tensor of this shape.
    public long[] contiguousStrides() {
        long[] s = new long[dims.length];
        long step = 1;
        for (int i = dims.length - 1; i >= 0; i--) {
            s[i] = step;
            step *= dims[i];
        }
        return s;
    }

    /// Whether a dimension of `this` that is 1 or missing in front may be repeated to give `target`.
    public boolean expandsTo(Shape target) {
        int lead = target.rank() - rank();
        boolean fits = lead >= 0;
        for (int i = 0; fits && i < dims.length; i++) {
            fits = dims[i] == target.dims[lead + i] || dims[i] == 1;
        }
        return fits;
    }

    /// The shape that two element-wise operands give together (NumPy's rule: sizes equal, or one of them 1).
    ///
    /// @throws IllegalArgumentException naming `op` and both shapes if they do not fit
    public static Shape broadcast(String op, Shape a, Shape b) {
        if (a.equals(b)) {
            return a;
        }
        int rank = Math.max(a.rank(), b.rank());
        int[] d = new int[rank];
        for (int i = 1; i <= rank; i++) {
            int x = i <= a.rank() ? a.dims[a.rank() - i] : 1;
            int y = i <= b.rank() ? b.dims[b.rank() - i] : 1;
            if (x != y && x != 1 && y != 1) {
                throw new IllegalArgumentException(op + ": shapes " + a + " and " + b
                        + " do not fit: counted from the right each pair of sizes must be equal, or one of them 1");
            }
            d[rank - i] = x == 1 ? y : x;
        }
        return new Shape(d);
    }

    @Override
    public boolean equals(Object o) {
        return o instanceof Shape s && Arrays.equals(dims, s.dims);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(dims);
    }

    @Override
    public String toString() {
        return Arrays.stream(dims).mapToObj(Integer::toString).collect(Collectors.joining(", ", "(", ")"));
    }
}
