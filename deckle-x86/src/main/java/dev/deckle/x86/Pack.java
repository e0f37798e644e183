package dev.deckle.x86;

import static dev.deckle.x86.emit.Asm.Mem.at;
import static dev.deckle.x86.emit.Asm.Reg.*;

import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Reg;
import dev.deckle.x86.emit.Isa;
import java.util.function.IntConsumer;

/// Emits the kernels that lay a matrix out as strips: one vector wide, contiguous, a vector for each k.
final class Pack {
    /// How far ahead rows are fetched, in bytes: from memory a third faster than to leave it to the processor (a loop
    /// of its own in C, on an Intel with AMX).
    private static final int AHEAD = 2048;

    private Pack() {}

    /// From a matrix whose rows run across the strips (row k of B; column k of A): of each row `strips` pieces,
    /// `advance` bytes apart, the masked lanes of each, to strips whose vectors begin `step` bytes apart. Whole vectors
    /// are stored, in order, so that with a smaller step the next covers what the last had too much.
    ///
    /// From numbers that are yet to be pairs of bf16, two rows make one: a lane is what is above each other, the upper
    /// one first. `last`: there is one row, and 0 for the other.
    /// ```
    /// void across(from, ld, to, strip, strips, advance, kc, mask, step)
    /// ```
    static void across(Asm asm, Source source, boolean last) {
        Reg from = RDI;
        Reg ld = RSI;
        Reg to = RDX;
        Reg strip = RCX;
        Reg strips = R8;
        Reg advance = R9;
        Reg k = R10;
        asm.push(RBX);
        asm.mov(k, at(RSP, 16));
        asm.mov(RAX, at(RSP, 24));
        asm.mask(RAX);
        Mem step = at(RSP, 32);
        int row = asm.size();
        asm.mov(RAX, from);
        asm.mov(R11, to);
        asm.mov(RBX, strips);
        int piece = asm.size();
        if (source == Source.READY) {
            asm.loadMasked(0, at(RAX, 0));
        } else {
            half(asm, 0, at(RAX, 0), source);
        }
        if (source != Source.READY && !last) {
            half(asm, 1, at(RAX, ld, 1, 0), source);
            asm.shiftLeft(1, 16);
            asm.vector(Asm.VPORD, 0, 0, 1);
        }
        asm.store(at(R11, 0), 0);
        asm.add(RAX, advance);
        asm.add(R11, strip);
        asm.dec(RBX);
        asm.loop(piece);
        for (int i = 0; i < source.each; i++) {
            asm.add(from, ld);
        }
        asm.add(to, step);
        asm.dec(k);
        asm.loop(row);
        asm.pop(RBX);
        asm.vzeroupper();
        asm.ret();
    }

    /// The masked numbers of bf16, each in the lower half of its lane.
    private static void half(Asm asm, int dst, Mem src, Source source) {
        if (source == Source.FLOATS) {
            asm.loadMasked(dst, src);
            asm.vector(Asm.VCVTNEPS2BF16, dst, 0, dst);
            asm.vector(Asm.VPMOVZXWD, dst, 0, dst);
        } else {
            asm.loadMasked(Asm.VPMOVZXWD, dst, src);
        }
    }

    /// From a matrix whose rows run along k, `lanes` rows to a strip and strips `advance` bytes apart: square blocks,
    /// transposed in registers.
    /// ```
    /// void transpose(from, ld, to, strip, strips, advance, blocks)      a block is `lanes` numbers along k
    /// ```
    static void transpose(Asm asm) {
        transpose(asm, asm.isa.bytes(), i -> asm.load(i, at(RAX, 0)));
    }

    /// @param bytes in a row of a block
    /// @param load what puts the row at RAX into a register
    private static void transpose(Asm asm, int bytes, IntConsumer load) {
        Reg from = RDI;
        Reg ld = RSI;
        Reg to = RDX;
        Reg strip = RCX;
        Reg strips = R8;
        Reg advance = R9;
        Mem blocks = at(RSP, 16);
        asm.push(RBX);
        int next = asm.size();
        asm.mov(R10, from);
        asm.mov(R11, to);
        asm.mov(RBX, blocks);
        int block = asm.size();
        asm.mov(RAX, R10);
        for (int i = 0; i < asm.isa.lanes; i++) {
            load.accept(i);
            asm.add(RAX, ld);
        }
        square(asm, R11);
        asm.add(R10, bytes);
        asm.add(R11, asm.isa.lanes * asm.isa.bytes());
        asm.dec(RBX);
        asm.loop(block);
        asm.add(from, advance);
        asm.add(to, strip);
        asm.dec(strips);
        asm.loop(next);
        asm.pop(RBX);
        asm.vzeroupper();
        asm.ret();
    }

    /// The same from rows of floats, which become pairs of bf16 on the way.
    /// ```
    /// void roundAndTranspose(from, ld, to, strip, strips, advance, blocks)      a block is 32 numbers along k
    /// ```
    static void roundAndTranspose(Asm asm) {
        transpose(asm, 2 * asm.isa.bytes(), i -> {
            asm.load(i, at(RAX, 0));
            asm.load(asm.isa.lanes, at(RAX, asm.isa.bytes()));
            asm.vector(Asm.VCVTNE2PS2BF16, i, asm.isa.lanes, i);
        });
    }

    /// One block at the edge: `rows` rows, and of each the numbers of the mask. Missing rows are zero.
    /// ```
    /// void transposeEdge(from, ld, to, rows, mask)
    /// ```
    static void transposeEdge(Asm asm) {
        Reg from = RDI;
        Reg ld = RSI;
        Reg to = RDX;
        Reg rows = RCX;
        asm.mask(R8);
        for (int i = 0; i < asm.isa.lanes; i++) {
            asm.zero(i);
        }
        int[] done = new int[asm.isa.lanes];
        for (int i = 0; i < asm.isa.lanes; i++) {
            asm.loadMasked(i, at(from, 0));
            asm.add(from, ld);
            asm.dec(rows);
            done[i] = asm.skipIfZero();
        }
        for (int skip : done) {
            asm.land(skip);
        }
        square(asm, to);
        asm.vzeroupper();
        asm.ret();
    }

    /// Rows of floats to rows of the nearest bf16. A row is `blocks` whole vectors, then the lanes of the mask, which
    /// still fill half a vector: the missing ones are 0. Numbers below the smallest normal one become 0.
    /// ```
    /// void round(from, ld, to, ldt, rows, blocks, mask)
    /// ```
    static void round(Asm asm) {
        Reg from = RDI;
        Reg ld = RSI;
        Reg to = RDX;
        Reg ldt = RCX;
        Reg rows = R8;
        Reg blocks = R9;
        asm.push(RBX);
        asm.mov(RBX, at(RSP, 16));
        asm.mask(RBX);
        int row = asm.size();
        asm.mov(R10, from);
        asm.mov(R11, to);
        asm.mov(RAX, blocks);
        asm.test(RAX);
        int noBlocks = asm.skipIfZero();
        int block = asm.size();
        asm.load(0, at(R10, 0));
        halve(asm, R11);
        asm.add(R10, asm.isa.bytes());
        asm.add(R11, asm.isa.bytes() / 2);
        asm.dec(RAX);
        asm.loop(block);
        asm.land(noBlocks);
        asm.test(RBX);
        int noRest = asm.skipIfZero();
        asm.loadMasked(0, at(R10, 0));
        halve(asm, R11);
        asm.land(noRest);
        asm.add(from, ld);
        asm.add(to, ldt);
        asm.dec(rows);
        asm.loop(row);
        asm.pop(RBX);
        asm.vzeroupper();
        asm.ret();
    }

    /// Rows of floats, at most 16 of them, to rows of tiles of bf16: 32 numbers are 64 bytes, and those of the next
    /// block lie a tile further.
    /// ```
    /// void roundToTiles(from, ld, to, rows, blocks)
    /// ```
    static void roundToTiles(Asm asm) {
        Reg from = RDI;
        Reg ld = RSI;
        Reg to = RDX;
        Reg rows = RCX;
        Reg blocks = R8;
        int row = asm.size();
        asm.mov(R10, from);
        asm.mov(R11, to);
        asm.mov(RAX, blocks);
        int block = asm.size();
        asm.prefetch(at(R10, AHEAD));
        asm.prefetch(at(R10, AHEAD + asm.isa.bytes()));
        asm.load(0, at(R10, 0));
        asm.load(1, at(R10, asm.isa.bytes()));
        asm.vector(Asm.VCVTNE2PS2BF16, 0, 1, 0);
        asm.store(at(R11, 0), 0);
        asm.add(R10, 2 * asm.isa.bytes());
        asm.add(R11, AmxTile.BYTES);
        asm.dec(RAX);
        asm.loop(block);
        asm.add(from, ld);
        asm.add(to, AmxTile.ROW);
        asm.dec(rows);
        asm.loop(row);
        asm.vzeroupper();
        asm.ret();
    }

    /// Pairs of bf16 from a matrix of floats whose rows run across the strips: as [#across] makes them, in blocks of 16
    /// steps along k, of each row the masked numbers of `strips` pieces, which follow each other. `pairs` are the words
    /// of two rounded rows in the order in which they are pairs.
    ///
    /// @param turned whether each block is transposed, to be a tile of A
    /// ```
    /// void weave(from, ld, to, strip, strips, blocks, mask, pairs)
    /// ```
    static void weave(Asm asm, boolean turned) {
        Reg from = RDI;
        Reg ld = RSI;
        Reg to = RDX;
        Reg strip = RCX;
        Reg strips = R8;
        Reg blocks = R9;
        Reg[] saved = {RBX, RBP, R12, R13};
        for (Reg r : saved) {
            asm.push(r);
        }
        asm.mov(RAX, at(RSP, 8 * saved.length + 8));
        asm.mask(RAX);
        asm.mov(R13, at(RSP, 8 * saved.length + 16));
        int block = asm.size();
        asm.mov(R10, from);
        asm.mov(R11, to);
        asm.mov(RBX, strips);
        for (int i = 0; i < 2 * AmxTile.SIDE; i += 8) {
            asm.lea(from, at(from, ld, 8, 0));
        }
        asm.mov(R12, from);
        int piece = asm.size();
        int low = AmxTile.SIDE; // the first of the registers that do not hold pairs
        asm.mov(RAX, R10);
        asm.mov(RBP, R12);
        asm.load(low + 2, at(R13, 0));
        for (int step = 0; step < AmxTile.SIDE; step++) {
            asm.prefetch(at(RBP, 0)); // the rows of the next block
            asm.prefetch(at(RBP, ld, 1, 0));
            asm.loadMasked(low, at(RAX, 0));
            asm.loadMasked(low + 1, at(RAX, ld, 1, 0));
            asm.vector(Asm.VCVTNE2PS2BF16, low, low + 1, low);
            asm.vector(Asm.VPERMW, step, low + 2, low);
            if (!turned) {
                asm.store(at(R11, step * asm.isa.bytes()), step);
            }
            asm.lea(RAX, at(RAX, ld, 2, 0));
            asm.lea(RBP, at(RBP, ld, 2, 0));
        }
        if (turned) {
            square(asm, R11);
        }
        asm.add(R10, asm.isa.bytes());
        asm.add(R12, asm.isa.bytes());
        asm.add(R11, strip);
        asm.dec(RBX);
        asm.loop(piece);
        asm.add(to, AmxTile.BYTES);
        asm.dec(blocks);
        asm.loop(block);
        for (int i = saved.length - 1; i >= 0; i--) {
            asm.pop(saved[i]);
        }
        asm.vzeroupper();
        asm.ret();
    }

    private static void halve(Asm asm, Reg to) {
        asm.vector(Asm.VCVTNEPS2BF16, 0, 0, 0);
        asm.vector(asm.isa.bits() / 2, Asm.VMOVUPS_STORE, 0, 0, at(to, 0), 0);
    }

    /// Transposes the block whose rows are the first `lanes` registers, and stores its columns one after the other: two
    /// rounds of unpacking transpose 4 x 4 numbers inside each 128-bit lane, then whole lanes change places.
    private static void square(Asm asm, Reg to) {
        int n = asm.isa.lanes;
        for (int i = 0; i < n; i += 2) {
            asm.vector(Asm.VUNPCKLPS, n + i, i, i + 1);
            asm.vector(Asm.VUNPCKHPS, n + i + 1, i, i + 1);
        }
        for (int i = 0; i < n; i += 4) {
            for (int j = 0; j < 2; j++) {
                asm.vector(Asm.VUNPCKLPD, i + 2 * j, n + i + j, n + i + j + 2);
                asm.vector(Asm.VUNPCKHPD, i + 2 * j + 1, n + i + j, n + i + j + 2);
            }
        }
        // register 4g + j, lane q now holds rows 4g..4g+3 of column 4q + j
        for (int j = 0; j < 4; j++) {
            if (asm.isa == Isa.AVX2) {
                for (int q = 0; q < 2; q++) {
                    asm.shuffle(Asm.VPERM2F128, n + j, j, 4 + j, q == 0 ? 0x20 : 0x31);
                    asm.store(at(to, (4 * q + j) * asm.isa.bytes()), n + j);
                }
                continue;
            }
            for (int odd = 0; odd < 2; odd++) { // lanes 0 and 2, then 1 and 3
                int select = odd == 0 ? 0x88 : 0xDD;
                asm.shuffle(Asm.VSHUFF32X4, n, j, 4 + j, select);
                asm.shuffle(Asm.VSHUFF32X4, n + 1, 8 + j, 12 + j, select);
                for (int q = odd; q < 4; q += 2) {
                    asm.shuffle(Asm.VSHUFF32X4, n + 2 + q, n, n + 1, q < 2 ? 0x88 : 0xDD);
                    asm.store(at(to, (4 * q + j) * asm.isa.bytes()), n + 2 + q);
                }
            }
        }
    }
}
