package dev.deckle.x86;

import dev.deckle.tensor.DType;
import dev.deckle.x86.Tile.Form;

/// A or B of a [Product], as it lies in memory: lines that the result has one row (A) or column (B) for.
///
/// @param form ROWS: each line is contiguous along k, `ld` bytes from the next; COLUMNS: the numbers of all lines at
///     one place along k are, `ld` bytes from those at the next
record Operand(Source source, long start, Form form, long ld) {
    /// What its numbers are. A product's step along k is four bytes of what the tile multiplies.
    enum Source {
        /// What the tile multiplies: floats, or pairs of bf16 that are neighbours along k.
        READY(4, 1),
        /// Floats that are to be rounded to bf16, two to a step.
        FLOATS(4, 2),
        /// Numbers of bf16 in columns, two to a step, which do not lie as pairs.
        HALVES(2, 2);

        /// Bytes of a number.
        final int bytes;
        /// Numbers along k in one step.
        final int each;

        Source(int bytes, int each) {
            this.bytes = bytes;
            this.each = each;
        }

        /// Of numbers that are to be multiplied as bf16.
        static Source of(DType t) {
            return switch (t) {
                case F32 -> FLOATS;
                case BF16 -> HALVES;
                default -> throw new UnsupportedOperationException("x86 does not multiply " + t + " as BF16");
            };
        }
    }

    /// Where line `i` is at step `k0`.
    long at(int i, int k0) {
        long along = (long) source.each * k0;
        return form == Form.ROWS ? start + i * ld + source.bytes * along : start + along * ld + (long) source.bytes * i;
    }

    /// The lines from `i` on, from step `k0` on.
    Operand from(int i, int k0) {
        return new Operand(source, at(i, k0), form, ld);
    }
}
