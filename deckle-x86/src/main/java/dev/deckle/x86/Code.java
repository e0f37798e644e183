package dev.deckle.x86;

import dev.deckle.kernel.BinaryFn;
import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.Tile.Form;
import dev.deckle.x86.Tile.Width;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Function;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/// The functions that matrix products of one instruction set and one type of number are made of.
///
/// A number is four bytes: a float, or a pair of bf16 that are neighbours along k. Only the instruction that multiplies
/// differs.
final class Code {
    /// One kernel's place in the code.
    record Entry(String name, int start, int end) {}

    private static final int ROW_OF_PAIRS = 32; // bf16 in a vector of 512 bits

    final Isa isa;
    /// The matrix unit, where it takes over large products of pairs of bf16.
    final Optional<AmxCode> amx;
    final Map<String, Function> functions = new LinkedHashMap<>();
    private final Function transpose;
    private final Function transposeEdge;
    // for pairs of bf16
    private final Function round;
    private final Function roundAndTranspose;
    private final Function[] toTiles; // by source
    private final Function[] acrossToTiles; // by source
    final long pairs; // which words of two rows of bf16, one after the other, make pairs
    private final Function[][] across; // by source, those other than READY for pairs of bf16
    private final Function[][][] tiles;
    private final Function[] dots;
    /// `y = a + b`: (n, a, b, y).
    final Kernel add;
    private final long masks;

    /// @param multiply [Asm#VFMADD231PS] or [Asm#VDPBF16PS]
    Code(Isa isa, Asm.Op multiply, Optional<AmxCode> amx) {
        this.isa = isa;
        this.amx = amx;
        tiles = new Function[Form.values().length][Width.values().length][isa.rows + 1];
        for (Form form : Form.values()) {
            for (Width width : Width.values()) {
                for (int rows = 1; rows <= isa.rows; rows++) {
                    Tile tile = new Tile(rows, form, width, multiply);
                    tiles[form.ordinal()][width.ordinal()][rows] =
                            function("tile " + form + " " + width + " " + rows, tile::emit);
                }
            }
        }
        boolean bf16 = multiply == Asm.VDPBF16PS;
        Source[] sources = bf16 ? Source.values() : new Source[] {Source.READY};
        across = new Function[sources.length][2];
        for (Source from : sources) {
            across[from.ordinal()][0] = function("across " + from, asm -> Pack.across(asm, from, false));
            across[from.ordinal()][1] = function("across " + from + " last", asm -> Pack.across(asm, from, true));
        }
        transpose = function("transpose", Pack::transpose);
        transposeEdge = function("transposeEdge", Pack::transposeEdge);
        dots = new Function[Dot.maxRows(isa) + 1];
        for (int rows = 1; rows < dots.length; rows++) {
            Dot dot = new Dot(rows, multiply);
            dots[rows] = function("dot " + rows, dot::emit);
        }
        round = bf16 ? function("round", Pack::round) : null;
        roundAndTranspose = bf16 ? function("roundAndTranspose", Pack::roundAndTranspose) : null;
        toTiles = new Function[Source.values().length];
        acrossToTiles = new Function[Source.values().length];
        if (bf16) {
            for (Source from : List.of(Source.READY, Source.FLOATS)) {
                toTiles[from.ordinal()] = function("toTiles " + from, asm -> Pack.toTiles(asm, from));
            }
            for (Source from : List.of(Source.FLOATS, Source.HALVES)) {
                acrossToTiles[from.ordinal()] = function("acrossToTiles " + from, asm -> Pack.acrossToTiles(asm, from));
            }
        }
        MemorySegment words = Arena.global().allocate(2L * ROW_OF_PAIRS, 64);
        for (int i = 0; i < ROW_OF_PAIRS; i++) {
            words.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (i % 2 * ROW_OF_PAIRS / 2 + i / 2));
        }
        pairs = words.address();
        add = new Kernel(isa, r -> Elementwise.binary(r, BinaryFn.ADD, false, false));
        // vectors of set and unset lanes: the mask of w lanes starts `lanes - w` numbers in
        MemorySegment table = Arena.global().allocate(2L * isa.bytes(), 64);
        for (int i = 0; i < isa.lanes; i++) {
            table.setAtIndex(ValueLayout.JAVA_INT, i, -1);
        }
        masks = table.address();
    }

    private Function function(String name, Consumer<Asm> body) {
        Function f = new Function(() -> {
            Asm asm = new Asm(isa);
            body.accept(asm);
            return asm.bytes();
        });
        functions.put(name, f);
        return f;
    }

    MemorySegment tile(int rows, Form form, Width width) {
        return tiles[form.ordinal()][width.ordinal()][rows].get();
    }

    /// What makes strips of rows across them, or of the last row alone where it has no other to be a pair with.
    MemorySegment across(Source from, boolean last) {
        return across[from.ordinal()][last ? 1 : 0].get();
    }

    /// What makes strips of rows that lie along them.
    MemorySegment transpose(Source from) {
        return (from == Source.FLOATS ? roundAndTranspose : transpose).get();
    }

    MemorySegment transposeEdge() {
        return transposeEdge.get();
    }

    MemorySegment round() {
        return round.get();
    }

    /// What makes tiles of A of rows that lie along them.
    MemorySegment toTiles(Source from) {
        return toTiles[from.ordinal()].get();
    }

    /// What makes tiles of A of rows across them.
    MemorySegment acrossToTiles(Source from) {
        return acrossToTiles[from.ordinal()].get();
    }

    MemorySegment dot(int rows) {
        return dots[rows].get();
    }

    /// The argument that masks a vector to its first `lanes` lanes.
    long mask(int lanes) {
        return isa == Isa.AVX512 ? (1L << lanes) - 1 : masks + 4L * (isa.lanes - lanes);
    }
}
