package dev.deckle.x86.emit;

/// An instruction set, by what shapes the kernels: how wide a vector is and how tall the register tile.
public enum Isa {
    /// 16 registers: 6 x 2 accumulators, two vectors of B, one broadcast of A, one mask.
    AVX2("AVX2", 8, 6),
    /// 32 registers: 14 x 2 accumulators, two vectors of B, one broadcast of A.
    AVX512("AVX-512", 16, 14);

    public final String title;
    /// Floats in a vector.
    public final int lanes;
    /// Rows of the tile, which is two vectors wide.
    public final int rows;

    Isa(String title, int lanes, int rows) {
        this.title = title;
        this.lanes = lanes;
        this.rows = rows;
    }

    /// Bytes in a vector.
    public int bytes() {
        return 4 * lanes;
    }

    public int bits() {
        return 32 * lanes;
    }
}
