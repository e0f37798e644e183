package dev.deckle.x86;

import static dev.deckle.x86.emit.Asm.Mem.at;
import static dev.deckle.x86.emit.Asm.Reg.*;

import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Op;
import dev.deckle.x86.emit.Asm.Reg;
import dev.deckle.x86.emit.Isa;

/// Emits the kernel for few rows, such as one token times a weight matrix: `out[x, w] = x . w` for `rows` rows of X and
/// groups of four rows of W, both contiguous along k. Each number of W is used `rows` times only, so memory sets the
/// speed, and W is read once, straight, as it lies.
///
/// ```
/// void dot(x, ldx, w, ldw, out, ldo, groups, blocks, mask)
/// ```
/// Strides in bytes. k is `blocks` whole vectors, then the lanes of the mask; a missing part is 0 in both.
record Dot(int rows, Op multiply) {
    /// Rows of W that are read side by side.
    static final int GROUP = 4;

    /// Rows of X that the accumulators leave room for.
    static int maxRows(Isa isa) {
        return isa == Isa.AVX512 ? 6 : 2;
    }

    private static final Reg X = RDI;
    private static final Reg LDX = RSI;
    private static final Reg W = RDX;
    private static final Reg LDW = RCX;
    private static final Reg OUT = R8;
    private static final Reg LDO = R9;
    private static final Reg X_CURSOR = R10;
    private static final Reg W_CURSOR = R11;
    private static final Reg LDX3 = RBX;
    private static final Reg LDX5 = R12;
    private static final Reg LDW3 = RBP;
    private static final Reg W_NEXT = R13; // the next group, at the same place along k
    private static final Reg[] SAVED = {RBX, RBP, R12, R13};
    private static final Mem ARG_GROUPS = argument(0);
    private static final Mem ARG_BLOCKS = argument(1);
    private static final Mem ARG_MASK = argument(2);

    private static Mem argument(int i) {
        return at(RSP, 8 * (SAVED.length + 1 + i));
    }

    void emit(Asm asm) {
        asm.push(SAVED);
        asm.lea(LDX3, at(LDX, LDX, 2, 0));
        asm.lea(LDX5, at(LDX, LDX, 4, 0));
        asm.lea(LDW3, at(LDW, LDW, 2, 0));
        int group = asm.size();
        for (int i = 0; i < rows * GROUP; i++) {
            asm.zero(i);
        }
        asm.mov(X_CURSOR, X);
        asm.mov(W_CURSOR, W);
        asm.lea(W_NEXT, at(W, LDW, 4, 0));

        asm.mov(RAX, ARG_BLOCKS);
        asm.test(RAX);
        int noBlocks = asm.skipIfZero();
        int block = asm.size();
        multiply(asm, false);
        for (int g = 0; g < GROUP; g++) { // a tenth faster than to leave it to the processor
            asm.prefetch(row(W_NEXT, LDW, LDW3, g));
        }
        asm.add(X_CURSOR, asm.isa.bytes());
        asm.add(W_CURSOR, asm.isa.bytes());
        asm.add(W_NEXT, asm.isa.bytes());
        asm.dec(RAX);
        asm.loop(block);
        asm.land(noBlocks);

        asm.mov(RAX, ARG_MASK);
        asm.test(RAX);
        int noRest = asm.skipIfZero();
        asm.mask(RAX);
        multiply(asm, true);
        asm.land(noRest);

        asm.mov(RAX, OUT);
        for (int r = 0; r < rows; r++) {
            int four = sum(asm, r * GROUP);
            asm.vector(128, Asm.VMOVUPS_STORE, four, 0, at(RAX, 0), 0);
            asm.add(RAX, LDO);
        }
        asm.add(OUT, GROUP * Float.BYTES);
        asm.lea(W, at(W, LDW, 4, 0));
        asm.dec(ARG_GROUPS);
        asm.loop(group);
        asm.pop(SAVED);
        asm.vzeroupper();
        asm.ret();
    }

    /// Accumulator `4r + g += x[r] w[g]`, lane by lane.
    private void multiply(Asm asm, boolean masked) {
        int w = rows * GROUP;
        int x = w + GROUP;
        for (int g = 0; g < GROUP; g++) {
            load(asm, w + g, row(W_CURSOR, LDW, LDW3, g), masked);
        }
        for (int r = 0; r < rows; r++) {
            load(asm, x, r == 5 ? at(X_CURSOR, LDX5, 1, 0) : row(X_CURSOR, LDX, LDX3, r), masked);
            for (int g = 0; g < GROUP; g++) {
                asm.vector(multiply, r * GROUP + g, x, w + g);
            }
        }
    }

    private static void load(Asm asm, int dst, Mem src, boolean masked) {
        if (masked) {
            asm.loadMasked(dst, src);
        } else {
            asm.load(dst, src);
        }
    }

    private static Mem row(Reg base, Reg ld, Reg ld3, int i) {
        return i == 0 ? at(base, 0) : i == 3 ? at(base, ld3, 1, 0) : at(base, ld, i, 0);
    }

    /// The sums of four accumulators, from the first on, as the numbers of one 128-bit register, which is returned. VEX
    /// instructions reach sixteen registers: higher ones come down to those of rows that are done.
    private int sum(Asm asm, int first) {
        int free = rows * GROUP;
        int low = first % 16;
        for (int i = 0; asm.isa == Isa.AVX512 && i < GROUP; i++) {
            asm.shuffle(Asm.VSHUFF32X4, free, first + i, first + i, 0x4E); // the upper half on the lower one
            asm.vector(Asm.VADDPS, low + i, first + i, free);
        }
        asm.vector(256, Asm.VHADDPS, low, low, low + 1);
        asm.vector(256, Asm.VHADDPS, low + 2, low + 2, low + 3);
        asm.vector(256, Asm.VHADDPS, low, low, low + 2);
        asm.vector(256, Asm.VEXTRACTF128, low, 0, low + 1);
        asm.put(1);
        asm.vector(128, Asm.VADDPS, low, low, low + 1);
        return low;
    }
}
