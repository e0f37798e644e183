package dev.deckle.x86;

import static dev.deckle.x86.emit.Asm.Mem.at;
import static dev.deckle.x86.emit.Asm.Reg.*;

import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Reg;

/// Emits the kernel for pairs of bf16 on the matrix unit of Intel's processors (AMX, from Sapphire Rapids on):
/// ```
/// C[rows, columns] (+)= A[rows, steps] B[steps, columns]      for each of `panels` pairs of strips side by side
/// ```
/// with `down` x `across` tiles of C, each of up to 16 x 16, in the unit's registers while k runs. Four of the eight
/// registers hold C, two A, two B: each tile that is loaded is used twice, and four sums are under way at a time, more
/// than the unit takes to finish one.
///
/// One multiplication does 16 steps along k. A and B are packed for it in strips of tiles: 16 rows of A, each with the
/// steps of a block, or 16 steps, each with 16 columns of B, as [Tile] takes them. Steps that are missing at the end
/// are 0 in both. Rows and columns that are missing are no part of the tiles' shapes, and their memory is not touched.
/// A and B come fast enough by themselves. The next place in C does not: its lines are fetched while k runs, three rows
/// a block, which makes a product of 3,072 by 384 by 384 a seventh faster.
///
/// ```
/// void tile(c, ldc, a, b, strip, shapes, panels, blocks, accumulate)
/// ```
/// `ldc` and `strip`, of A and B, in bytes, `blocks` of 16 steps, `shapes` what LDTILECFG loads. The thread has no
/// state of tiles before and after the call.
///
/// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, and volume 2.
record AmxTile(int down, int across) {
    /// Rows of a tile, floats in a row of it, and steps along k of a multiplication.
    static final int SIDE = 16;
    /// Bytes in a row of a tile.
    static final int ROW = 64;
    static final int BYTES = SIDE * ROW;

    // registers of tiles: C row by row, then A, then B
    private static final int A0 = 4;
    private static final int B0 = 6;

    private static final int ROWS_AHEAD = 3;

    private static final Reg C = RDI;
    private static final Reg LDC = RSI;
    private static final Reg A_START = RDX;
    private static final Reg B_START = RCX;
    private static final Reg STRIP = R8;
    private static final Reg SHAPES = R9;
    private static final Reg STRIDE = R9; // of A and B, once the shapes are loaded
    private static final Reg A = R10;
    private static final Reg A_LOW = RBX;
    private static final Reg B = R11;
    private static final Reg B_RIGHT = RBP;
    private static final Reg C_NEXT = R12; // a row of the next panel
    private static final Reg K = RAX;
    private static final Reg C_LOW = RAX; // outside of the loop
    private static final Reg[] SAVED = {RBX, RBP, R12};
    private static final Mem ARG_PANELS = argument(0);
    private static final Mem ARG_BLOCKS = argument(1);
    private static final Mem ARG_ACCUMULATE = argument(2);

    private static Mem argument(int i) {
        return at(RSP, 8 * (SAVED.length + 1 + i));
    }

    void emit(Asm asm) {
        asm.push(SAVED);
        asm.tileConfig(at(SHAPES, 0));
        asm.zero(STRIDE);
        asm.add(STRIDE, ROW);

        int panel = asm.size();
        for (int t = 0; t < down; t++) {
            for (int u = 0; u < across; u++) {
                asm.tileZero(c(t, u));
            }
        }
        asm.mov(RAX, ARG_ACCUMULATE);
        asm.test(RAX);
        int fresh = asm.skipIfZero();
        eachTile(asm, asm::tileLoad);
        asm.land(fresh);

        asm.mov(A, A_START);
        asm.lea(A_LOW, at(A, STRIP, 1, 0));
        asm.mov(B, B_START);
        asm.lea(B_RIGHT, at(B, STRIP, 1, 0));
        asm.lea(C_NEXT, at(C, across * ROW));
        asm.mov(K, ARG_BLOCKS);
        asm.align(64);
        int loop = asm.size();
        block(asm);
        asm.dec(K);
        asm.loop(loop);

        eachTile(asm, (tile, c) -> asm.tileStore(c, tile));
        asm.add(C, across * ROW);
        asm.lea(B_START, at(B_START, STRIP, 2, 0));
        asm.dec(ARG_PANELS);
        asm.loop(panel);
        asm.tileRelease();
        asm.pop(SAVED);
        asm.ret();
    }

    /// 16 steps along k.
    private void block(Asm asm) {
        for (int t = 0; t < down; t++) {
            asm.tileLoad(A0 + t, at(t == 0 ? A : A_LOW, STRIDE, 1, 0));
            for (int u = 0; u < across; u++) {
                if (t == 0) {
                    asm.tileLoad(B0 + u, at(u == 0 ? B : B_RIGHT, STRIDE, 1, 0));
                }
                asm.tileMultiply(c(t, u), A0 + t, B0 + u);
            }
        }
        for (int r = 0; r < ROWS_AHEAD; r++) {
            for (int u = 0; u < across; u++) {
                asm.prefetchToWrite(at(C_NEXT, u * ROW));
            }
            asm.add(C_NEXT, LDC);
        }
        for (Reg strip : new Reg[] {A, A_LOW, B, B_RIGHT}) {
            asm.add(strip, BYTES);
        }
    }

    private int c(int t, int u) {
        return t * across + u;
    }

    private interface Move {
        void emit(int tile, Mem c);
    }

    /// Moves each tile of C between its register and its place.
    private void eachTile(Asm asm, Move move) {
        for (int t = 0; t < down; t++) {
            if (t > 0) { // 16 rows on
                asm.lea(C_LOW, at(C, LDC, 8, 0));
                asm.lea(C_LOW, at(C_LOW, LDC, 8, 0));
            }
            for (int u = 0; u < across; u++) {
                move.emit(c(t, u), at(t == 0 ? C : C_LOW, LDC, 1, u * ROW));
            }
        }
    }

    /// What LDTILECFG loads, for tiles that together have `rows` and `columns`.
    static byte[] shapes(int rows, int columns) {
        byte[] all = new byte[64];
        all[0] = 1; // the palette: eight tiles of up to 16 rows of up to 64 bytes
        int down = Math.ceilDiv(rows, SIDE);
        int across = Math.ceilDiv(columns, SIDE);
        AmxTile kernel = new AmxTile(down, across);
        for (int t = 0; t < down; t++) {
            int high = Math.min(SIDE, rows - t * SIDE);
            shape(all, A0 + t, high, ROW);
            for (int u = 0; u < across; u++) {
                int wide = Float.BYTES * Math.min(SIDE, columns - u * SIDE);
                shape(all, kernel.c(t, u), high, wide);
                shape(all, B0 + u, SIDE, wide);
            }
        }
        return all;
    }

    private static void shape(byte[] all, int tile, int rows, int bytes) {
        all[16 + 2 * tile] = (byte) bytes;
        all[48 + tile] = (byte) rows;
    }
}
