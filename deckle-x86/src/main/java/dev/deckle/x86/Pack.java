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
    /// one first. `last`: there is one row, and 0 for the other. `pairs` are the words of two rounded rows in the order
    /// in which they are pairs.
    ///
    /// In blocks of `steps` along k: a strip gets them all before the next strip gets its first, and meanwhile the same
    /// piece of the next block is fetched. With that, and two rows rounded by one instruction, the gradients of weights
    /// of a step (10m preset in bf16, a Zen 5) take 112 to 116 ms in place of 123 to 128; between 1 and 16 steps a
    /// block made little difference.
    /// ```
    /// void across(from, ld, to, strip, strips, advance, blocks, steps, mask, step, pairs)
    /// ```
    static void across(Asm asm, Source source, boolean last) {
        Reg from = RDI;
        Reg ld = RSI;
        Reg to = RDX;
        Reg strip = RCX;
        Reg strips = R8;
        Reg advance = R9;
        Reg piece = R10;
        Reg pieceTo = R11;
        Reg piecesLeft = RBX;
        Reg vector = RBP;
        Reg block = R12; // its rows, in bytes
        Reg ahead = R13;
        Reg step = R14;
        Reg left = R15;
        Reg[] saved = {RBX, RBP, R12, R13, R14, R15};
        asm.push(saved);
        Mem blocks = argument(saved, 0);
        Mem steps = argument(saved, 1);
        asm.mov(RAX, argument(saved, 2));
        asm.mask(RAX);
        asm.mov(step, argument(saved, 3));
        int pairs = 2; // a vector
        if (source == Source.FLOATS) {
            asm.mov(RAX, argument(saved, 4));
            asm.load(pairs, at(RAX, 0));
        }
        if (last) {
            asm.zero(1);
        }
        asm.zero(block);
        asm.mov(left, steps);
        int sum = asm.size();
        for (int i = 0; i < source.each; i++) {
            asm.add(block, ld);
        }
        asm.dec(left);
        asm.loop(sum);

        int nextBlock = asm.size();
        asm.mov(piece, from);
        asm.mov(pieceTo, to);
        asm.mov(piecesLeft, strips);
        int nextPiece = asm.size();
        asm.mov(RAX, piece);
        asm.lea(ahead, at(piece, block, 1, 0));
        asm.mov(vector, pieceTo);
        asm.mov(left, steps);
        int nextStep = asm.size();
        for (int i = 0; i < source.each; i++) {
            asm.prefetch(at(ahead, ld, i, 0));
        }
        gather(asm, source, last, at(RAX, 0), at(RAX, ld, 1, 0), 0, pairs);
        asm.store(at(vector, 0), 0);
        asm.lea(RAX, at(RAX, ld, source.each, 0));
        asm.lea(ahead, at(ahead, ld, source.each, 0));
        asm.add(vector, step);
        asm.dec(left);
        asm.loop(nextStep);
        asm.add(piece, advance);
        asm.add(pieceTo, strip);
        asm.dec(piecesLeft);
        asm.loop(nextPiece);
        asm.add(from, block);
        asm.mov(left, steps);
        int along = asm.size();
        asm.add(to, step);
        asm.dec(left);
        asm.loop(along);
        asm.dec(blocks);
        asm.loop(nextBlock);
        asm.pop(saved);
        asm.vzeroupper();
        asm.ret();
    }

    /// One step along k to register `to`: the masked numbers at `row`, or pairs of them and those at `next`; where
    /// there is no next, the register after it is 0.
    private static void gather(Asm asm, Source source, boolean last, Mem row, Mem next, int to, int pairs) {
        int other = to + 1;
        switch (source) {
            case READY -> asm.loadMasked(to, row);
            case FLOATS -> {
                asm.loadMasked(to, row);
                if (!last) {
                    asm.loadMasked(other, next);
                }
                asm.vector(Asm.VCVTNE2PS2BF16, to, other, to);
                asm.vector(Asm.VPERMW, to, pairs, to);
            }
            case HALVES -> {
                asm.loadMasked(Asm.VPMOVZXWD, to, row);
                if (!last) {
                    asm.loadMasked(Asm.VPMOVZXWD, other, next);
                    asm.shiftLeft(other, 16);
                    asm.vector(Asm.VPORD, to, to, other);
                }
            }
        }
    }

    /// The i-th of the arguments that lie on the stack.
    private static Mem argument(Reg[] saved, int i) {
        return at(RSP, 8 * (saved.length + 1 + i));
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

    /// Rows, at most 16 of them, to rows of tiles of bf16: 32 numbers are 64 bytes, and those of the next block lie a
    /// tile further.
    /// ```
    /// void toTiles(from, ld, to, rows, blocks)
    /// ```
    static void toTiles(Asm asm, Source source) {
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
        for (int i = 0; i < source.each; i++) {
            asm.prefetch(at(R10, AHEAD + i * asm.isa.bytes()));
            asm.load(i, at(R10, i * asm.isa.bytes()));
        }
        if (source == Source.FLOATS) {
            asm.vector(Asm.VCVTNE2PS2BF16, 0, 1, 0);
        }
        asm.store(at(R11, 0), 0);
        asm.add(R10, source.each * asm.isa.bytes());
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

    /// Tiles of A from a matrix whose rows run across them: pairs as [#across] makes them, 16 steps along k of the
    /// masked numbers of `strips` pieces, which follow each other, and each block transposed.
    /// ```
    /// void acrossToTiles(from, ld, to, strip, strips, blocks, mask, pairs)
    /// ```
    static void acrossToTiles(Asm asm, Source source) {
        Reg from = RDI;
        Reg ld = RSI;
        Reg to = RDX;
        Reg strip = RCX;
        Reg strips = R8;
        Reg blocks = R9;
        Reg[] saved = {RBX, RBP, R12, R13};
        asm.push(saved);
        asm.mov(RAX, argument(saved, 0));
        asm.mask(RAX);
        asm.mov(R13, argument(saved, 1));
        int block = asm.size();
        asm.mov(R10, from);
        asm.mov(R11, to);
        asm.mov(RBX, strips);
        for (int i = 0; i < 2 * AmxTile.SIDE; i += 8) {
            asm.lea(from, at(from, ld, 8, 0));
        }
        asm.mov(R12, from);
        int piece = asm.size();
        int pairs = AmxTile.SIDE + 1; // the first of the registers that no step needs
        asm.mov(RAX, R10);
        asm.mov(RBP, R12);
        if (source == Source.FLOATS) {
            asm.load(pairs, at(R13, 0));
        }
        for (int step = 0; step < AmxTile.SIDE; step++) {
            asm.prefetch(at(RBP, 0)); // the rows of the next block
            asm.prefetch(at(RBP, ld, 1, 0));
            gather(asm, source, false, at(RAX, 0), at(RAX, ld, 1, 0), step, pairs);
            asm.lea(RAX, at(RAX, ld, 2, 0));
            asm.lea(RBP, at(RBP, ld, 2, 0));
        }
        square(asm, R11);
        asm.add(R10, source.bytes * AmxTile.SIDE);
        asm.add(R12, source.bytes * AmxTile.SIDE);
        asm.add(R11, strip);
        asm.dec(RBX);
        asm.loop(piece);
        asm.add(to, AmxTile.BYTES);
        asm.dec(blocks);
        asm.loop(block);
        asm.pop(saved);
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
