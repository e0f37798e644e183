package dev.deckle.x86;

import static dev.deckle.x86.emit.Asm.Mem.at;
import static dev.deckle.x86.emit.Asm.Reg.*;

import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Op;
import dev.deckle.x86.emit.Asm.Reg;

/// Emits the register tile, the kernel that does the work of a matrix product:
/// ```
/// C[rows, 2 lanes] (+)= A[rows, kc] B[kc, 2 lanes]      for each of `panels` pairs of vectors side by side
/// ```
/// All of the tile of C stays in registers while k runs. A step along k loads two vectors of B, broadcasts one number
/// of A for each row, and multiplies and adds: 28 fused multiply-adds for 16 loads at 14 rows. Broadcasting inside the
/// multiply would ask the load ports for 30. The loop does two steps, for half as many additions to
/// addresses: 205 to 228 in place of 197 to 206 GFLOP/s of 237 a core, for 384 steps in cache (an Intel with AMX).
/// `multiply` may be any accumulating instruction whose step along k is
/// four bytes of A and a vector of B, such as the one for pairs of bf16.
///
/// A is read where it lies, in one of two [Form]s. B is read as vectors ("strips") `strip` bytes apart with rows `ldb`
/// apart, which fits B where it lies (strip = one vector) as well as packed strips, each contiguous (ldb = one vector).
///
/// ```
/// void tile(c, ldc, a, lda, b, ldb, strip, panels, kc, accumulate, mask)      strides in bytes; panels, kc > 0
/// ```
record Tile(int rows, Form form, Width width, Op multiply) {
    /// How A lies in memory.
    enum Form {
        /// Rows `lda` apart, each contiguous along k.
        ROWS,
        /// Columns `lda` apart, each contiguous along the rows.
        COLUMNS
    }

    /// How much of the two vectors there is.
    enum Width {
        /// Two whole vectors.
        TWO,
        /// The last vector of two has only the lanes of the mask, in B and in C.
        TWO_MASKED,
        /// One vector, masked.
        ONE_MASKED
    }

    /// How far ahead of its use a strip of B is fetched, in bytes.
    private static final int AHEAD = 1024;

    private static final Reg C = RDI;
    private static final Reg LDC = RSI;
    private static final Reg A = RDX;
    private static final Reg LDA = RCX;
    private static final Reg B = R8;
    private static final Reg LDB = R9;
    private static final Reg STRIP = R10;
    private static final Reg A7 = R11; // row 7 of A
    private static final Reg LDA3 = RBX;
    private static final Reg LDA5 = RBP;
    private static final Reg K = R12;
    private static final Reg STRIP_NEXT = R13; // the next row of the other strip
    private static final Reg TWO_ROWS = R14; // of B
    private static final Reg TWO_COLUMNS = RBX; // of A
    private static final Reg ROW = RAX; // row of C
    private static final Reg[] SAVED = {RBX, RBP, R12, R13, R14};

    // on the stack: the starts of A and B, the saved registers, the return address, the arguments from the seventh
    private static final Mem A_START = at(RSP, 0);
    private static final Mem B_START = at(RSP, 8);
    private static final Mem ARG_STRIP = argument(0);
    private static final Mem ARG_PANELS = argument(1);
    private static final Mem ARG_KC = argument(2);
    private static final Mem ARG_ACCUMULATE = argument(3);
    private static final Mem ARG_MASK = argument(4);

    private static Mem argument(int i) {
        return at(RSP, 8 * (2 + SAVED.length + 1 + i));
    }

    private int vectors() {
        return width == Width.ONE_MASKED ? 1 : 2;
    }

    private boolean masked(int vector) {
        return width != Width.TWO && vector == vectors() - 1;
    }

    void emit(Asm asm) {
        int free = rows * vectors(); // accumulators come first, row by row
        asm.push(SAVED);
        asm.push(B);
        asm.push(A);
        asm.mov(STRIP, ARG_STRIP);
        if (width != Width.TWO) {
            asm.mov(RAX, ARG_MASK);
            asm.mask(RAX);
        }
        asm.lea(STRIP_NEXT, at(STRIP, LDB, 1, 0));
        asm.lea(TWO_ROWS, at(LDB, LDB, 1, 0));
        if (form == Form.COLUMNS) {
            asm.lea(TWO_COLUMNS, at(LDA, LDA, 1, 0));
        } else {
            asm.lea(LDA3, at(LDA, LDA, 2, 0));
            asm.lea(LDA5, at(LDA, LDA, 4, 0));
        }

        int panel = asm.size();
        eachRow(asm, (row, c) -> asm.prefetch(c));
        for (int i = 0; i < free; i++) {
            asm.zero(i);
        }
        asm.mov(A, A_START);
        if (form == Form.ROWS && rows > 7) {
            asm.lea(A7, at(A, LDA5, 1, 0));
            asm.lea(A7, at(A7, LDA, 2, 0));
        }
        asm.mov(K, ARG_KC);
        asm.shiftRight(K, 1);
        int noPair = asm.skipIfZero();
        asm.align(64);
        int loop = asm.size();
        step(asm, free, 0);
        step(asm, free, 1);
        asm.add(B, TWO_ROWS);
        if (form == Form.ROWS) {
            asm.add(A, 2 * Float.BYTES);
            if (rows > 7) {
                asm.add(A7, 2 * Float.BYTES);
            }
        } else {
            asm.add(A, TWO_COLUMNS);
        }
        asm.dec(K);
        asm.loop(loop);
        asm.land(noPair);
        asm.mov(K, ARG_KC);
        asm.and(K, 1);
        int even = asm.skipIfZero();
        step(asm, free, 0);
        asm.land(even);

        asm.mov(RAX, ARG_ACCUMULATE);
        asm.test(RAX);
        int fresh = asm.skipIfZero();
        eachRow(asm, (i, c) -> {
            if (masked(i % vectors())) {
                asm.loadMasked(free, c);
                asm.vector(Asm.VADDPS, i, i, free);
            } else {
                asm.vector(Asm.VADDPS, i, i, c);
            }
        });
        asm.land(fresh);
        eachRow(asm, (i, c) -> {
            if (masked(i % vectors())) {
                asm.storeMasked(c, i);
            } else {
                asm.store(c, i);
            }
        });

        asm.add(C, 2 * asm.isa.bytes());
        asm.mov(B, B_START);
        asm.lea(B, at(B, STRIP, 2, 0));
        asm.mov(B_START, B);
        asm.dec(ARG_PANELS);
        asm.loop(panel);
        asm.vzeroupper();
        asm.pop(A);
        asm.pop(B);
        asm.pop(SAVED);
        asm.ret();
    }

    private interface Accumulator {
        void at(int index, Mem c);
    }

    /// Visits the accumulators, each with its place in C.
    private void eachRow(Asm asm, Accumulator body) {
        asm.mov(ROW, C);
        for (int r = 0; r < rows; r++) {
            for (int v = 0; v < vectors(); v++) {
                body.at(r * vectors() + v, at(ROW, v * asm.isa.bytes()));
            }
            if (r < rows - 1) {
                asm.add(ROW, LDC);
            }
        }
    }

    /// One step along k, this one or the next.
    private void step(Asm asm, int free, int next) {
        int broadcast = free + vectors();
        for (int v = 0; v < vectors(); v++) {
            Mem b = v == 0
                    ? next == 0 ? at(B, 0) : at(B, LDB, 1, 0)
                    : at(B, next == 0 ? STRIP : STRIP_NEXT, 1, 0);
            if (masked(v)) {
                asm.loadMasked(free + v, b);
            } else {
                asm.load(free + v, b);
            }
            asm.prefetch(b.plus(AHEAD));
        }
        for (int r = 0; r < rows; r++) {
            asm.broadcast(broadcast, a(r, next));
            for (int v = 0; v < vectors(); v++) {
                asm.vector(multiply, r * vectors() + v, broadcast, free + v);
            }
        }
    }

    /// Row r of A at the present k, or the next. Two bases and three multiples of the row's stride reach 14 rows.
    private Mem a(int r, int next) {
        if (form == Form.COLUMNS) {
            return next == 0 ? at(A, Float.BYTES * r) : at(A, LDA, 1, Float.BYTES * r);
        }
        Reg base = r < 7 ? A : A7;
        Mem at = switch (r % 7) {
            case 0 -> at(base, 0);
            case 1 -> at(base, LDA, 1, 0);
            case 2 -> at(base, LDA, 2, 0);
            case 3 -> at(base, LDA3, 1, 0);
            case 4 -> at(base, LDA, 4, 0);
            case 5 -> at(base, LDA5, 1, 0);
            default -> at(base, LDA3, 2, 0);
        };
        return at.plus(Float.BYTES * next);
    }
}
