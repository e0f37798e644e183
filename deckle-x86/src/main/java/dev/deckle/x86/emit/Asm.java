package dev.deckle.x86.emit;

import java.util.Arrays;
import java.util.Set;

/// A small x86-64 assembler: the instructions that the kernels use and no others.
///
/// Vector instructions are written once. At 512 bits they are encoded as EVEX, below as VEX, which has the same
/// opcodes, 16 registers in place of 32, and no mask registers. Encodings: Intel 64 and IA-32 Architectures Software
/// Developer's Manual, volume 2.
public final class Asm {
    /// General registers, in the order of their numbers.
    public enum Reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 }

    /// `[base + index scale + disp]`; without an index, `scale` is 0.
    public record Mem(Reg base, Reg index, int scale, int disp) {
        public static Mem at(Reg base, int disp) {
            return new Mem(base, Reg.RAX, 0, disp);
        }

        public static Mem at(Reg base, Reg index, int scale, int disp) {
            return new Mem(base, index, scale, disp);
        }

        public Mem plus(int more) {
            return new Mem(base, index, scale, disp + more);
        }
    }

    /// A vector instruction: opcode map (1: 0F, 2: 0F38, 3: 0F3A), prefix (0: none, 1: 66, 2: F3, 3: F2), W, opcode,
    /// and the bytes of its memory operand (0: a whole vector), in which EVEX counts short displacements.
    public record Op(int map, int prefix, int w, int code, int unit) {
        public Op(int map, int prefix, int w, int code) {
            this(map, prefix, w, code, 0);
        }
    }

    public static final Op VMOVUPS = new Op(1, 0, 0, 0x10);
    public static final Op VMOVUPS_STORE = new Op(1, 0, 0, 0x11);
    public static final Op VMASKMOVPS = new Op(2, 1, 0, 0x2C);
    public static final Op VMASKMOVPS_STORE = new Op(2, 1, 0, 0x2E);
    public static final Op VBROADCASTSS = new Op(2, 1, 0, 0x18, 4);
    /// To memory and to a register: the first number of a vector of 128 bits.
    public static final Op VMOVSS_STORE = new Op(1, 2, 0, 0x11);
    public static final Op VFMADD231PS = new Op(2, 1, 0, 0xB8);
    public static final Op VFMADD231PD = new Op(2, 1, 1, 0xB8);
    public static final Op VFMADDSUB231PS = new Op(2, 1, 0, 0xB6);
    /// Each lane of both operands is a pair of bf16: adds both products to the lane.
    public static final Op VDPBF16PS = new Op(2, 2, 0, 0x52);
    public static final Op VCVTNEPS2BF16 = new Op(2, 2, 0, 0x72);
    public static final Op VCVTNE2PS2BF16 = new Op(2, 3, 0, 0x72);
    public static final Op VPERMW = new Op(2, 1, 1, 0x8D);
    /// 16 bits to 32, with zeros.
    public static final Op VPMOVZXWD = new Op(2, 1, 0, 0x33, 32);
    /// 32 bits to 64, with zeros.
    public static final Op VPMOVZXDQ = new Op(2, 1, 0, 0x35, 32);
    /// The low 16 bits of each 32, to memory. Only EVEX.
    public static final Op VPMOVDW = new Op(2, 2, 0, 0x33, 32);
    /// 32 bits to 16, within each 128 bits.
    public static final Op VPACKUSDW = new Op(2, 1, 0, 0x2B);
    public static final Op VPERMQ = new Op(3, 1, 1, 0x00);
    public static final Op VPSLLD = new Op(1, 1, 0, 0x72);
    public static final Op VPSLLQ = new Op(1, 1, 1, 0x73);
    public static final Op VPORD = new Op(1, 1, 0, 0xEB);
    public static final Op VPADDD = new Op(1, 1, 0, 0xFE);
    public static final Op VPSUBD = new Op(1, 1, 0, 0xFA);
    public static final Op VCVTDQ2PS = new Op(1, 0, 0, 0x5B);
    public static final Op VCVTPS2PD = new Op(1, 0, 0, 0x5A, 32);
    public static final Op VADDPS = new Op(1, 0, 0, 0x58);
    public static final Op VMULPS = new Op(1, 0, 0, 0x59);
    public static final Op VSUBPS = new Op(1, 0, 0, 0x5C);
    /// The second operand where one is NaN, as VMAXPS.
    public static final Op VMINPS = new Op(1, 0, 0, 0x5D);
    public static final Op VDIVPS = new Op(1, 0, 0, 0x5E);
    public static final Op VMAXPS = new Op(1, 0, 0, 0x5F);
    public static final Op VSQRTPS = new Op(1, 0, 0, 0x51);
    public static final Op VANDPS = new Op(1, 0, 0, 0x54);
    public static final Op VORPS = new Op(1, 0, 0, 0x56);
    public static final Op VCMPPS = new Op(1, 0, 0, 0xC2);
    private static final Op VMOVAPS = new Op(1, 0, 0, 0x28);
    private static final Op VBLENDVPS = new Op(3, 1, 0, 0x4A);
    private static final Op VBLENDMPS = new Op(2, 1, 0, 0x65);
    public static final Op VSHUFPS = new Op(1, 0, 0, 0xC6);
    public static final Op VPERMILPS = new Op(3, 1, 0, 0x04);
    public static final Op VHADDPS = new Op(1, 3, 0, 0x7C);
    public static final Op VXORPS = new Op(1, 0, 0, 0x57);
    public static final Op VUNPCKLPS = new Op(1, 0, 0, 0x14);
    public static final Op VUNPCKHPS = new Op(1, 0, 0, 0x15);
    public static final Op VUNPCKLPD = new Op(1, 1, 1, 0x14);
    public static final Op VUNPCKHPD = new Op(1, 1, 1, 0x15);
    public static final Op VSHUFF32X4 = new Op(3, 1, 0, 0x23);
    public static final Op VPERM2F128 = new Op(3, 1, 0, 0x06);
    public static final Op VEXTRACTF128 = new Op(3, 1, 0, 0x19);

    public static final Op LDTILECFG = new Op(2, 0, 0, 0x49);
    public static final Op TILEZERO = new Op(2, 3, 0, 0x49);
    public static final Op TILELOADD = new Op(2, 3, 0, 0x4B);
    public static final Op TILESTORED = new Op(2, 2, 0, 0x4B);
    public static final Op TDPBF16PS = new Op(2, 2, 0, 0x5C);

    /// Those whose operands may be exchanged.
    public static final Set<Op> COMMUTATIVE = Set.of(VADDPS, VMULPS, VANDPS, VORPS, VXORPS, VPADDD);

    /// What an instruction without an immediate has in its place.
    public static final int NO_IMMEDIATE = -1;
    private static final int UNMASKED = 0;
    /// The mask register of AVX-512 that [#mask] sets, and its stand-in without AVX-512.
    private static final int K1 = 1;
    public static final int MASK_VECTOR = 15;
    /// The mask register of AVX-512 that [#compare] sets.
    private static final int K2 = 2;

    public final Isa isa;
    private byte[] code = new byte[1 << 16];
    private int size;

    public Asm(Isa isa) {
        this.isa = isa;
    }

    public int size() {
        return size;
    }

    public byte[] bytes() {
        return Arrays.copyOf(code, size);
    }

    public void align(int to) {
        while (size % to != 0) {
            put(0x90);
        }
    }

    public void put(int b) {
        if (size == code.length) {
            code = Arrays.copyOf(code, 2 * size);
        }
        code[size++] = (byte) b;
    }

    public void put32(int v) {
        for (int i = 0; i < 32; i += 8) {
            put(v >> i);
        }
    }

    // ---- vectors of the instruction set's width

    public void vector(Op op, int dst, int src1, int src2) {
        vector(isa.bits(), op, dst, src1, src2);
    }

    public void vector(Op op, int dst, int src1, Mem src2) {
        vector(isa.bits(), op, dst, src1, src2, UNMASKED);
    }

    public void shuffle(Op op, int dst, int src1, int src2, int imm) {
        vector(op, dst, src1, src2);
        put(imm);
    }

    public void zero(int dst) {
        vector(VXORPS, dst, dst, dst);
    }

    public void broadcast(int dst, Mem src) {
        vector(VBROADCASTSS, dst, 0, src);
    }

    public void load(int dst, Mem src) {
        vector(VMOVUPS, dst, 0, src);
    }

    public void store(Mem dst, int src) {
        vector(VMOVUPS_STORE, src, 0, dst);
    }

    /// Takes the mask for masked loads and stores: the bits of its lanes for AVX-512, else the address of a vector,
    /// which then stays in the last vector register.
    public void mask(Reg r) {
        if (isa == Isa.AVX512) {
            put(0xC4); // kmovw k1, r32
            put(0xC1 | (~high(r) & 1) << 5);
            put(0x78);
            put(0x92);
            registers(K1, r.ordinal());
        } else {
            load(MASK_VECTOR, Mem.at(r, 0));
        }
    }

    /// Lanes outside the mask are zero and their memory is not touched.
    public void loadMasked(int dst, Mem src) {
        if (isa == Isa.AVX512) {
            vector(isa.bits(), VMOVUPS, dst, 0, src, 0x80 | K1);
        } else {
            vector(VMASKMOVPS, dst, MASK_VECTOR, src);
        }
    }

    /// The same by an instruction that loads and changes. Only for AVX-512.
    public void loadMasked(Op op, int dst, Mem src) {
        vector(isa.bits(), op, dst, 0, src, 0x80 | K1);
    }

    /// Each lane of 32 bits by some bits.
    public void shiftLeft(int dst, int bits) {
        vector(VPSLLD, 6, dst, dst); // 6 belongs to the opcode
        put(bits);
    }

    public void storeMasked(Mem dst, int src) {
        if (isa == Isa.AVX512) {
            vector(isa.bits(), VMOVUPS_STORE, src, 0, dst, K1);
        } else {
            vector(VMASKMOVPS_STORE, src, MASK_VECTOR, dst);
        }
    }

    public void immediate(int imm) {
        if (imm != NO_IMMEDIATE) {
            put(imm);
        }
    }

    public void move(int dst, int src) {
        vector(VMOVAPS, dst, 0, src);
    }

    /// The instruction that computes `dst b + c` in place of `a b + dst`, for one of the latter.
    public static Op multiplying(Op adding) {
        return new Op(adding.map, adding.prefix, adding.w, adding.code - 0x10, adding.unit);
    }

    /// Compares lanes of which [#blendCompared] will choose. Only for AVX-512.
    public void compare(int a, int b, int how) {
        vector(VCMPPS, K2, a, b);
        put(how);
    }

    public void compare(int a, Mem b, int how) {
        vector(VCMPPS, K2, a, b);
        put(how);
    }

    public void blendCompared(int dst, int no, int yes) {
        vector(isa.bits(), VBLENDMPS, dst, no, yes, K2);
    }

    /// By the highest bit of each lane of `which`. Only without AVX-512.
    public void blend(int dst, int no, int yes, int which) {
        vector(VBLENDVPS, dst, no, yes);
        put(which << 4);
    }

    /// Lanes of the mask from `yes`, the others from `no`.
    public void blendByMask(int dst, int no, int yes) {
        if (isa == Isa.AVX512) {
            vector(isa.bits(), VBLENDMPS, dst, no, yes, K1);
        } else {
            blend(dst, no, yes, MASK_VECTOR);
        }
    }

    /// The first lane.
    public void storeFirst(Mem dst, int src) {
        vector(128, VMOVSS_STORE, src, 0, dst, UNMASKED);
    }

    /// The low 16 bits of each lane, beside each other; the others are 0.
    public void storeHalves(Mem dst, int src, int spare) {
        if (isa == Isa.AVX512) {
            vector(VPMOVDW, src, 0, dst);
        } else {
            vector(VPACKUSDW, spare, src, src);
            vector(VPERMQ, spare, 0, spare);
            put(0x08); // the first and the third quarter
            vector(128, VMOVUPS_STORE, spare, 0, dst, UNMASKED);
        }
    }

    // ---- vectors of any width

    public void vector(int bits, Op op, int reg, int v, int rm) {
        vector(bits, op, reg, v, rm, UNMASKED);
    }

    private void vector(int bits, Op op, int reg, int v, int rm, int mask) {
        prefix(bits, op, reg, v, rm >> 4 & 1, rm >> 3 & 1, mask);
        registers(reg, rm);
    }

    /// `mask`: the number of a mask register; with 0x80, lanes outside are zeroed, not kept.
    public void vector(int bits, Op op, int reg, int v, Mem m, int mask) {
        prefix(bits, op, reg, v, m.scale > 0 ? high(m.index) : 0, high(m.base), mask);
        memory(reg, m, bits == 512 ? op.unit > 0 ? op.unit : 64 : 1);
    }

    private void prefix(int bits, Op op, int reg, int v, int x, int b, int mask) {
        boolean evex = bits == 512;
        if (!evex && ((reg | v) > 15 || mask != UNMASKED)) {
            throw new IllegalArgumentException("only EVEX has registers above 15 and masks");
        }
        // extension bits of the registers are stored inverted
        int rxb = (~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5;
        int wvp = op.w << 7 | (~v & 15) << 3 | op.prefix;
        if (evex) {
            put(0x62);
            put(rxb | (~reg >> 4 & 1) << 4 | op.map);
            put(wvp | 4);
            put(mask | 2 << 5 | (~v >> 4 & 1) << 3);
        } else {
            put(0xC4);
            put(rxb | op.map);
            put(wvp | (bits == 256 ? 4 : 0));
        }
        put(op.code);
    }

    public void vzeroupper() {
        put(0xC5);
        put(0xF8);
        put(0x77);
    }

    // ---- tiles of AMX, eight of up to 16 rows of up to 64 bytes

    /// Gives the tiles their shapes, and zeros, from 64 bytes.
    public void tileConfig(Mem shapes) {
        vector(128, LDTILECFG, 0, 0, shapes, UNMASKED);
    }

    /// Leaves no state of tiles in the thread. The opcode is that of LDTILECFG, with a register for the memory.
    public void tileRelease() {
        vector(128, LDTILECFG, 0, 0, 0);
    }

    public void tileZero(int tile) {
        vector(128, TILEZERO, tile, 0, 0);
    }

    /// Rows from `base + disp` on, each the index's value in bytes from the last. There must be an index, of scale 1.
    public void tileLoad(int tile, Mem rows) {
        vector(128, TILELOADD, tile, 0, rows, UNMASKED);
    }

    public void tileStore(Mem rows, int tile) {
        vector(128, TILESTORED, tile, 0, rows, UNMASKED);
    }

    /// `c[i, j] += a[i, 2p] b[p, 2j] + a[i, 2p + 1] b[p, 2j + 1]` over all p: rows of pairs of bf16, sums in f32.
    public void tileMultiply(int c, int a, int b) {
        vector(128, TDPBF16PS, c, b, a);
    }

    // ---- operands

    private static int high(Reg r) {
        return r.ordinal() >> 3;
    }

    private void registers(int reg, int rm) {
        put(0xC0 | (reg & 7) << 3 | rm & 7);
    }

    private void memory(int reg, Mem m, int unit) {
        int base = m.base.ordinal() & 7;
        boolean sib = m.scale > 0 || base == 4; // RSP and R12 as a base need the second byte
        int units = m.disp / unit;
        boolean shortDisp = m.disp % unit == 0 && units == (byte) units;
        int mod = m.disp == 0 && base != 5 ? 0 : shortDisp ? 1 : 2;
        put(mod << 6 | (reg & 7) << 3 | (sib ? 4 : base));
        if (sib) {
            int scale = Integer.numberOfTrailingZeros(Math.max(m.scale, 1));
            put(scale << 6 | (m.scale > 0 ? m.index.ordinal() & 7 : 4) << 3 | base);
        }
        if (mod == 1) {
            put(units);
        } else if (mod == 2) {
            put32(m.disp);
        }
    }

    // ---- general registers, 64 bits

    private void rex(int reg, int index, int base) {
        put(0x48 | reg << 2 | index << 1 | base);
    }

    private void general(int op, int reg, Reg rm) {
        rex(reg >> 3, 0, high(rm));
        put(op);
        registers(reg, rm.ordinal());
    }

    private void general(int op, int reg, Mem m) {
        rex(reg >> 3, m.scale > 0 ? high(m.index) : 0, high(m.base));
        put(op);
        memory(reg, m, 1);
    }

    public void mov(Reg dst, Reg src) {
        general(0x89, src.ordinal(), dst);
    }

    public void mov(Reg dst, Mem src) {
        general(0x8B, dst.ordinal(), src);
    }

    public void mov(Mem dst, Reg src) {
        general(0x89, src.ordinal(), dst);
    }

    public void lea(Reg dst, Mem src) {
        general(0x8D, dst.ordinal(), src);
    }

    public void add(Reg dst, Reg src) {
        general(0x01, src.ordinal(), dst);
    }

    public void add(Reg dst, Mem src) {
        general(0x03, dst.ordinal(), src);
    }

    public void add(Reg dst, int imm) {
        boolean small = imm == (byte) imm;
        general(small ? 0x83 : 0x81, 0, dst);
        if (small) {
            put(imm);
        } else {
            put32(imm);
        }
    }

    public void and(Reg dst, int imm) {
        general(0x83, 4, dst);
        put(imm);
    }

    public void shiftRight(Reg dst, int bits) {
        general(0xC1, 5, dst);
        put(bits);
    }

    public void sub(Reg dst, Mem src) {
        general(0x2B, dst.ordinal(), src);
    }

    public void dec(Reg r) {
        general(0xFF, 1, r);
    }

    public void dec(Mem m) {
        general(0xFF, 1, m);
    }

    public void test(Reg r) {
        general(0x85, r.ordinal(), r);
    }

    public void zero(Reg r) {
        general(0x31, r.ordinal(), r);
    }

    /// One after the other.
    public void push(Reg... registers) {
        for (Reg r : registers) {
            rex(0, 0, high(r));
            put(0x50 | r.ordinal() & 7);
        }
    }

    /// What a push of the same registers has put there.
    public void pop(Reg... registers) {
        for (int i = registers.length - 1; i >= 0; i--) {
            rex(0, 0, high(registers[i]));
            put(0x58 | registers[i].ordinal() & 7);
        }
    }

    /// Into the first-level cache; never faults.
    public void prefetch(Mem m) {
        prefetch(0x18, m);
    }

    /// The same for what will be written: the line becomes this core's own.
    public void prefetchToWrite(Mem m) {
        prefetch(0x0D, m);
    }

    private void prefetch(int op, Mem m) {
        rex(0, m.scale > 0 ? high(m.index) : 0, high(m.base));
        put(0x0F);
        put(op);
        memory(1, m, 1);
    }

    public void cpuid() {
        put(0x0F);
        put(0xA2);
    }

    public void xgetbv() {
        put(0x0F);
        put(0x01);
        put(0xD0);
    }

    public void ret() {
        put(0xC3);
    }

    public void call(Reg r) {
        general(0xFF, 2, r);
    }

    /// Number and result in RAX, arguments in RDI, RSI, RDX, R10, R8, R9; overwrites RCX and R11.
    public void systemCall() {
        put(0x0F);
        put(0x05);
    }

    // ---- jumps

    /// Back to a position, unless the last result was zero.
    public void loop(int target) {
        put(0x0F);
        put(0x85);
        put32(target - size - 4);
    }

    /// Forward where the last result was zero, to where [#land] is told the returned number.
    public int skipIfZero() {
        put(0x0F);
        put(0x84);
        put32(0);
        return size;
    }

    /// The address of what will come where [#land] is told the returned number.
    public int leaAhead(Reg dst) {
        rex(dst.ordinal() >> 3, 0, 0);
        put(0x8D);
        put((dst.ordinal() & 7) << 3 | 5); // relative to the next instruction
        put32(0);
        return size;
    }

    public void land(int skip) {
        for (int i = 0; i < 4; i++) {
            code[skip - 4 + i] = (byte) (size - skip >> 8 * i);
        }
    }
}
