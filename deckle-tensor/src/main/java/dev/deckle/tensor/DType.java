package dev.deckle.tensor;

/// What one element of a tensor is. Arithmetic runs in [#F32] and [#F64]; [#BF16] and [#F16] are storage types that are
/// cast before they are computed with; integers are indices, [#BOOL] is a mask. There is no implicit promotion.
///
/// Weights in [#BF16] are the one exception: products and embeddings take them as they are, and give F32 (see
/// [Op.MatMul]). They may be leaves, and gather their gradients in BF16 or F32.
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

    /// Whether it is a real number: only these have gradients.
    public boolean floating() {
        return floating;
    }
}
