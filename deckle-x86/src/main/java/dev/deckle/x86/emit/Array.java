package dev.deckle.x86.emit;

import static dev.deckle.x86.emit.Asm.Mem.at;

import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Reg;

/// An argument that is an address: numbers that a [Routine] reads and writes.
///
/// @param base where its current row begins
public record Array(Reg base, Form form) {
    /// Twice the number of elements that a pass has left behind.
    static final Reg OFFSET = Reg.RAX;

    public enum Form {
        FLOATS,
        /// Of BF16.
        HALVES,
        /// Floats that serve two neighbouring lanes each.
        TWICE,
        /// One float for all of a row.
        COLUMN
    }

    /// The lanes of the current vector.
    public Value load() {
        Value raw = new Value.Load(this);
        return switch (form) {
            case FLOATS, COLUMN -> raw;
            case HALVES -> raw.shiftLeft(16);
            case TWICE -> raw.or(raw.shiftPairsLeft(32));
        };
    }

    /// Writes the lanes of the current vector.
    public Effect set(Value value) {
        return new Effect.Store(this, value);
    }

    /// The memory of the current vector, or of one that comes `vectors` after it.
    Mem memory(int vectors, Isa isa) {
        return switch (form) {
            case FLOATS -> at(base, OFFSET, 2, vectors * isa.bytes());
            case HALVES, TWICE -> at(base, OFFSET, 1, vectors * isa.bytes() / 2);
            case COLUMN -> at(base, 0);
        };
    }
}
