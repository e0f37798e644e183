package dev.deckle.tensor;

import dev.deckle.autograd.Backward;
import dev.deckle.autograd.Gradients;
import dev.deckle.autograd.Leaf;
import dev.deckle.compute.Elements;
import dev.deckle.compute.Pointwise;
import dev.deckle.kernel.Native;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Storage;
import dev.deckle.memory.Workspace;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/// An array of numbers with a shape, in native memory, that remembers how it was made.
///
/// **Layout.** A tensor is a view of a [Storage]: an offset and one stride a dimension. `reshape`, `transpose`, `slice`
/// and `expand` make other views of the same memory without a copy; everything else makes new memory in row-major
/// order.
///
/// **Lifetime.** Inside a [Workspace] a new tensor lives until the scope closes; outside of any, as long as something
/// refers to it; made in a [ModelMemory], as long as that. Reading one after its time is an error, never stale numbers.
///
/// **Derivatives.** If an input requires a gradient, the result holds the [Op] that made it. [#backward()] walks these
/// back to the leaves. Tensors are not changed in place, except by optimizers, gradient accumulation and KV caches, all
/// of which write through [#address()].
///
/// **Threads.** A tensor may be read by several threads; a recorded graph belongs to one.
public final class Tensor implements ElementwiseOps, MovementOps, ReduceOps {
    private static final AtomicLong IDS = new AtomicLong();

    private final long id = IDS.incrementAndGet();
    private final Storage storage;
    private final DType dtype;
    private final Shape shape;
    private final long[] strides;
    private final long offset;
    private Op creator; // null for a leaf and for what was made without recording
    private Leaf leaf; // null unless it is a leaf that gathers a gradient

    private Tensor(Storage storage, DType dtype, Shape shape, long[] strides, long offset) {
        this.storage = storage;
        this.dtype = dtype;
        this.shape = shape;
        this.strides = strides;
        this.offset = offset;
    }

    // ---- making one

    /// Contents undefined, in the current lifetime.
    public static Tensor empty(DType dtype, Shape shape) {
        return on(Workspace.allocate(Math.multiplyExact(shape.numel(), (long) dtype.bytes())), 0, dtype, shape);
    }

    /// Undefined contents in a model's lifetime (its memory starts as zeros).
    public static Tensor empty(ModelMemory memory, DType dtype, Shape shape) {
        return on(memory.allocate(Math.multiplyExact(shape.numel(), (long) dtype.bytes())), 0, dtype, shape);
    }

    /// A row-major view of memory that exists: `byteOffset` into the storage.
    ///
    /// @throws IllegalArgumentException if the shape runs past the end
    public static Tensor on(Storage storage, long byteOffset, DType dtype, Shape shape) {
        long bytes = Math.multiplyExact(shape.numel(), (long) dtype.bytes());
        if (byteOffset < 0 || byteOffset % dtype.bytes() != 0 || byteOffset + bytes > storage.bytes()) {
            throw new IllegalArgumentException(dtype + " " + shape + " at byte " + byteOffset + " does not fit "
                    + storage.bytes() + " bytes");
        }
        return new Tensor(storage, dtype, shape, shape.contiguousStrides(), byteOffset / dtype.bytes());
    }

    public static Tensor full(DType dtype, double value, int... dims) {
        Tensor t = empty(dtype, Shape.of(dims));
        for (long i = 0; i < t.numel(); i++) {
            Elements.set(dtype, t.address(), i, value);
        }
        return t;
    }

    /// F32 zeros.
    public static Tensor zeros(int... dims) {
        return zeros(DType.F32, Shape.of(dims));
    }

    public static Tensor zeros(DType dtype, Shape shape) {
        Tensor t = empty(dtype, shape);
        Native.zero(t.address(), t.bytes());
        return t;
    }

    /// F32 ones.
    public static Tensor ones(int... dims) {
        return full(DType.F32, 1, dims);
    }

    /// A single F32 number.
    public static Tensor scalar(double value) {
        return full(DType.F32, value);
    }

    /// F32 values in row-major order.
    public static Tensor of(float[] values, int... dims) {
        Tensor t = sized(DType.F32, values.length, dims);
        for (int i = 0; i < values.length; i++) {
            Native.setFloat(t.address() + 4L * i, values[i]);
        }
        return t;
    }

    /// F64 values in row-major order.
    public static Tensor of(double[] values, int... dims) {
        Tensor t = sized(DType.F64, values.length, dims);
        for (int i = 0; i < values.length; i++) {
            Elements.set(DType.F64, t.address(), i, values[i]);
        }
        return t;
    }

    /// I64 values (ids, indices) in row-major order.
    public static Tensor of(long[] values, int... dims) {
        Tensor t = sized(DType.I64, values.length, dims);
        for (int i = 0; i < values.length; i++) {
            Native.setLong(t.address() + 8L * i, values[i]);
        }
        return t;
    }

    /// I64 numbers 0, 1, ... n-1.
    public static Tensor arange(int n) {
        return of(java.util.stream.LongStream.range(0, n).toArray(), n);
    }

    private static Tensor sized(DType dtype, int count, int... dims) {
        Shape shape = dims.length == 0 ? Shape.of(count) : Shape.of(dims);
        if (shape.numel() != count) {
            throw new IllegalArgumentException(count + " values do not fill shape " + shape);
        }
        return empty(dtype, shape);
    }

    /// Another view of this tensor's memory; the caller answers for its bounds.
    Tensor view(Shape shape, long[] strides, long offset) {
        return new Tensor(storage, dtype, shape, strides, offset);
    }

    // ---- what it is

    public DType dtype() {
        return dtype;
    }

    public Shape shape() {
        return shape;
    }

    public int rank() {
        return shape.rank();
    }

    /// Size of dimension `i`; -1 is the last one.
    public int dim(int i) {
        return shape.dim(i);
    }

    public long numel() {
        return shape.numel();
    }

    /// Bytes of its elements.
    public long bytes() {
        return numel() * dtype.bytes();
    }

    /// Elements between neighbours of dimension `i`.
    public long stride(int i) {
        return strides[shape.axis(i)];
    }

    long[] strides() {
        return strides;
    }

    long offset() {
        return offset;
    }

    /// Grows with every tensor made: a result has a larger one than its inputs.
    public long id() {
        return id;
    }

    public Storage storage() {
        return storage;
    }

    /// Whether its elements lie in row-major order without gaps.
    public boolean isContiguous() {
        long expected = 1;
        for (int i = rank() - 1; i >= 0; i--) {
            if (shape.dim(i) != 1 && strides[i] != expected) {
                return false;
            }
            expected *= shape.dim(i);
        }
        return true;
    }

    /// The address of its first element, for kernels.
    ///
    /// @throws IllegalStateException if its lifetime is over
    public long address() {
        return storage.address() + offset * dtype.bytes();
    }

    // ---- derivatives

    /// The operation that made it, if that was recorded.
    public Optional<Op> creator() {
        return Optional.ofNullable(creator);
    }

    /// The gradient that it gathers, if it is such a leaf.
    public Optional<Leaf> leaf() {
        return Optional.ofNullable(leaf);
    }

    public boolean requiresGrad() {
        return leaf != null || creator != null;
    }

    /// Makes it a leaf that gathers its gradient, in its own type, and returns it.
    public Tensor requireGrad() {
        return requireGrad(new Leaf(this));
    }

    /// The same with a leaf that has its own buffer.
    public Tensor requireGrad(Leaf leaf) {
        if (dtype != DType.F32 && dtype != DType.F64 && dtype != DType.BF16) {
            throw new IllegalArgumentException(
                    "gradients are gathered in F32, F64 or BF16, not in " + dtype + ": cast first");
        }
        if (creator != null) {
            throw new IllegalStateException("only a leaf gathers a gradient, and this " + shape + " tensor was made by "
                    + creator.label() + ": call detach() first");
        }
        if (this.leaf == null) {
            storage.retain(); // its owner reads it after backward() too
        }
        this.leaf = leaf;
        return this;
    }

    /// The gradient gathered so far.
    ///
    /// @throws IllegalStateException if it is no leaf, or backward() has not reached it
    public Tensor grad() {
        if (leaf == null) {
            throw new IllegalStateException("this " + shape + " tensor gathers no gradient: call requireGrad() on it "
                    + "before it is used");
        }
        return leaf.gradient();
    }

    /// The same values without their history.
    public Tensor detach() {
        return view(shape, strides, offset);
    }

    /// Derivatives of this single number by every leaf behind it, added to what the leaves hold. Inside a [Workspace]
    /// this gives the memory of the graph back as it goes: read what you need before, or [#keep()] it.
    public void backward() {
        if (numel() != 1) {
            throw new IllegalArgumentException("backward() starts from a single number, not from shape " + shape
                    + ": sum() or mean() it first, or pass the gradient of the result");
        }
        Backward.run(this, full(dtype, 1, shape.toArray()));
    }

    /// The same from any tensor, with the gradient of the result (the cotangent).
    public void backward(Tensor gradient) {
        Backward.run(this, gradient);
    }

    void recordedBy(Op op) {
        creator = op;
        storage.retain();
        Gradients.reads(op, this).forEach(t -> t.storage.need());
    }

    /// Says that the caller reads these values no more. Inside a [Workspace] their memory serves again at once, warm
    /// from the cache, unless a gradient will read them: the sum of two layers needs neither of its terms. Views of a
    /// part are left alone, and so is everything while somebody watches that keeps what it sees ([OpObserver]).
    public void giveUp() {
        boolean whole = offset == 0 && bytes() == storage.bytes();
        if (leaf == null && whole && !OpObserver.keeping()) {
            storage.giveUp("this " + shape + " tensor was given up by the layer that made it");
        }
    }

    // ---- reading it

    /// The value of a single number.
    public double item() {
        if (numel() != 1) {
            throw new IllegalArgumentException("item() reads a single number, not shape " + shape);
        }
        double value = Elements.get(dtype, address(), 0);
        Reference.reachabilityFence(this);
        return value;
    }

    /// The element at an index.
    public double at(int... index) {
        if (index.length != rank()) {
            throw new IllegalArgumentException("shape " + shape + " needs " + rank() + " indices, not " + index.length);
        }
        long o = 0;
        for (int i = 0; i < index.length; i++) {
            o += java.util.Objects.checkIndex(index[i], shape.dim(i)) * strides[i];
        }
        double value = Elements.get(dtype, address(), o);
        Reference.reachabilityFence(this);
        return value;
    }

    /// All values in row-major order.
    public double[] toDoubles() {
        Tensor c = Pointwise.contiguous(this);
        double[] v = new double[Math.toIntExact(numel())];
        for (int i = 0; i < v.length; i++) {
            v[i] = Elements.get(dtype, c.address(), i);
        }
        Reference.reachabilityFence(c);
        return v;
    }

    /// All values in row-major order, rounded to float.
    public float[] toFloats() {
        Tensor c = Pointwise.contiguous(this);
        float[] v = new float[Math.toIntExact(numel())];
        for (int i = 0; i < v.length; i++) {
            v[i] = (float) Elements.get(dtype, c.address(), i);
        }
        Reference.reachabilityFence(c);
        return v;
    }

    /// All values of an integer tensor in row-major order.
    public long[] toLongs() {
        Tensor c = Pointwise.contiguous(this);
        long[] v = new long[Math.toIntExact(numel())];
        for (int i = 0; i < v.length; i++) {
            v[i] = Elements.getLong(dtype, c.address(), i);
        }
        Reference.reachabilityFence(c);
        return v;
    }

    /// Writes these values over `target`, of the same shape and any type and layout, and returns it. For what outlives
    /// a step: parameters, optimizer moments, KV caches; nothing is recorded.
    public Tensor copyInto(Tensor target) {
        if (!target.shape.equals(shape)) {
            throw new IllegalArgumentException("copyInto: " + shape + " does not fit " + target.shape);
        }
        return Pointwise.copy(this, target);
    }

    /// A copy in the lifetime around the current [Workspace], without history.
    public Tensor keep() {
        return Pointwise.copy(this, on(Workspace.allocateOutside(bytes()), 0, dtype, shape));
    }

    /// Type, shape and the first values.
    @Override
    public String toString() {
        int shown = (int) Math.min(numel(), 8);
        String values = shown == 0 ? "" : Arrays.toString(Arrays.copyOf(head(shown), shown));
        return dtype + " " + shape + " " + values + (numel() > shown ? " ..." : "");
    }

    private double[] head(int n) {
        double[] v = new double[n];
        for (int i = 0; i < n; i++) {
            long rest = i;
            long o = 0;
            for (int d = rank() - 1; d >= 0; d--) {
                o += rest % shape.dim(d) * strides[d];
                rest /= shape.dim(d);
            }
            v[i] = Elements.get(dtype, address(), o);
        }
        Reference.reachabilityFence(this);
        return v;
    }
}
