package dev.deckle.tensor;

/// What one element of a tensor is. Arithmetic runs in [#F32] and [#F64]; [#BF16] and [#F16] are storage types that are
/// cast before they are computed with; integers are indices, [#BOOL] is a mask. There is no implicit promotion.
///
/// [#BF16] in products is the one exception: they and embeddings take weights of it as they are, products take
/// activations of it too, and all give F32 (see [Op.MatMul]). Such weights may be leaves, and gather their gradients in
/// BF16 or F32.
public enum DType {
    F64(8, true),
    F32(4, true),
    F16(2, true),
    BF16(2, true),
    I64(8, false),
    I32(4, false),
    U8(1, false),
    BOOL(1, false);

    private final int bytes;
    private final boolean floating;

    DType(int bytes, boolean floating) {
        this.bytes = bytes;
        this.floating = floating;
    }

    /// Size of one element in bytes.
    public int bytes() {
        return bytes;
    }

    /// The type that its numbers are added up in: F32 for those of 16 bits, else the same.
    public DType sums() {
        return this == BF16 || this == F16 ? F32 : this;
    }

    /// Whether it is a real number: only these have gradients.
    public boolean floating() {
        return floating;
    }
}
