package dev.deckle.x86;

import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.Tile.Form;
import dev.deckle.x86.Tile.Width;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// All kernels of one instruction set and one type of number, emitted together and executable.
///
/// A number is four bytes: a float, or a pair of bf16 that are neighbours along k. Only the instruction that multiplies
/// differs.
final class Code {
    /// One kernel's place in the code.
    record Entry(String name, int start, int end) {}

    final Isa isa;
    /// The matrix unit, where it takes over large products of pairs of bf16.
    final Optional<AmxCode> amx;
    final List<Entry> entries = new ArrayList<>();
    final byte[] bytes;
    final MemorySegment transpose;
    final MemorySegment transposeEdge;
    final MemorySegment round; // for pairs of bf16
    private final MemorySegment[][] across; // by source, those other than READY for pairs of bf16
    private final MemorySegment[][][] tiles;
    private final MemorySegment[] dots;
    private final long masks;

    /// @param multiply [Asm#VFMADD231PS] or [Asm#VDPBF16PS]
    Code(Isa isa, Asm.Op multiply, Optional<AmxCode> amx) {
        this.isa = isa;
        this.amx = amx;
        Asm asm = new Asm(isa);
        List<Tile> tileKinds = new ArrayList<>();
        for (Form form : Form.values()) {
            for (Width width : Width.values()) {
                for (int rows = 1; rows <= isa.rows; rows++) {
                    tileKinds.add(new Tile(rows, form, width, multiply));
                }
            }
        }
        for (Tile t : tileKinds) {
            emit(asm, "tile " + t.form() + " " + t.width() + " " + t.rows(), () -> t.emit(asm));
        }
        boolean bf16 = multiply == Asm.VDPBF16PS;
        Source[] sources = bf16 ? Source.values() : new Source[] {Source.READY};
        for (Source from : sources) {
            for (boolean last : new boolean[] {false, true}) {
                emit(asm, "across " + from + (last ? " last" : ""), () -> Pack.across(asm, from, last));
            }
        }
        emit(asm, "transpose", () -> Pack.transpose(asm));
        emit(asm, "transposeEdge", () -> Pack.transposeEdge(asm));
        for (int rows = 1; rows <= Dot.maxRows(isa); rows++) {
            Dot dot = new Dot(rows, multiply);
            emit(asm, "dot " + rows, () -> dot.emit(asm));
        }
        if (bf16) {
            emit(asm, "round", () -> Pack.round(asm));
        }
        // vectors of set and unset lanes: the mask of w lanes starts `lanes - w` numbers in
        asm.align(64);
        int table = asm.size();
        for (int i = 0; i < 2 * isa.lanes; i++) {
            asm.put32(i < isa.lanes ? -1 : 0);
        }
        bytes = asm.bytes();
        MemorySegment code = Linux.executable(bytes);
        masks = code.address() + table;

        tiles = new MemorySegment[Form.values().length][Width.values().length][isa.rows + 1];
        int i = 0;
        for (Tile t : tileKinds) {
            tiles[t.form().ordinal()][t.width().ordinal()][t.rows()] = code.asSlice(entries.get(i++).start);
        }
        across = new MemorySegment[sources.length][2];
        for (MemorySegment[] each : across) {
            each[0] = code.asSlice(entries.get(i++).start);
            each[1] = code.asSlice(entries.get(i++).start);
        }
        transpose = code.asSlice(entries.get(i++).start);
        transposeEdge = code.asSlice(entries.get(i++).start);
        dots = new MemorySegment[Dot.maxRows(isa) + 1];
        for (int rows = 1; rows < dots.length; rows++) {
            dots[rows] = code.asSlice(entries.get(i++).start);
        }
        round = bf16 ? code.asSlice(entries.get(i).start) : MemorySegment.NULL;
    }

    private void emit(Asm asm, String name, Runnable body) {
        asm.align(64);
        int start = asm.size();
        body.run();
        entries.add(new Entry(name, start, asm.size()));
    }

    MemorySegment tile(int rows, Form form, Width width) {
        return tiles[form.ordinal()][width.ordinal()][rows];
    }

    /// What makes strips of rows across them, or of the last row alone where it has no other to be a pair with.
    MemorySegment across(Source from, boolean last) {
        return across[from.ordinal()][last ? 1 : 0];
    }

    MemorySegment dot(int rows) {
        return dots[rows];
    }

    /// The argument that masks a vector to its first `lanes` lanes.
    long mask(int lanes) {
        return isa == Isa.AVX512 ? (1L << lanes) - 1 : masks + 4L * (isa.lanes - lanes);
    }
}
