package dev.deckle.autograd;

import dev.deckle.memory.Workspace;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.function.Supplier;

/// The gradient that a leaf gathers. Its buffer outlives every step, because several backward passes add to it before
/// an optimizer reads it.
///
/// After [#zero()] the buffer counts as empty rather than being filled with zeros: the next gradient overwrites it,
/// which saves a pass over the memory of all parameters.
public final class Leaf {
    private final Tensor owner;
    private final Supplier<Tensor> source;
    private Tensor buffer; // null until the first gradient
    private boolean empty = true;

    /// A leaf whose buffer is made when it is first needed.
    public Leaf(Tensor owner) {
        this(owner, () -> Tensor.on(Workspace.allocateForCaller(owner.bytes()), 0, owner.dtype(), owner.shape()));
    }

    /// A leaf that asks for its buffer when a gradient comes and it has none: at first, and after [#detach()].
    ///
    /// @param source gives memory of the owner's type and shape in row-major order, whatever it holds
    public Leaf(Tensor owner, Supplier<Tensor> source) {
        this.owner = owner;
        this.source = source;
    }

    /// A leaf that gathers into memory of its own, of the owner's shape and type. For BF16 it may be of F32 too.
    public Leaf(Tensor owner, Tensor buffer) {
        boolean wider = owner.dtype() == DType.BF16 && buffer.dtype() == DType.F32;
        if (!buffer.shape().equals(owner.shape()) || buffer.dtype() != owner.dtype() && !wider
                || !buffer.isContiguous()) {
            throw new IllegalArgumentException("a gradient buffer must be " + owner.dtype() + " " + owner.shape()
                    + " in row-major order, not " + buffer.dtype() + " " + buffer.shape());
        }
        this.owner = owner;
        this.buffer = buffer;
        source = () -> buffer;
    }

    /// What was gathered since the last [#zero()].
    ///
    /// @throws IllegalStateException if nothing was
    public Tensor gradient() {
        if (empty) {
            throw new IllegalStateException(
                    "this " + owner.shape() + " tensor has no gradient yet: call backward() on a "
                            + "result of it first");
        }
        return buffer;
    }

    /// Whether no gradient has come since the last [#zero()].
    public boolean isEmpty() {
        return empty;
    }

    /// Forgets what was gathered.
    public void zero() {
        empty = true;
    }

    /// Forgets the buffer too: the next gradient asks for one again.
    public void detach() {
        empty = true;
        buffer = null;
    }

    /// The buffer to write to. After it is written the leaf is no longer empty: ask [#isEmpty()] before.
    Tensor target() {
        if (buffer == null) {
            buffer = source.get();
        }
        empty = false;
        return buffer;
    }
}
