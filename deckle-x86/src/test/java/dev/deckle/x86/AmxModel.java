package dev.deckle.x86;

import dev.deckle.kernel.Native;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Supplier;

/// A model of the processor that is just large enough to run what [AmxTile] emits, byte by byte, on machines without
/// AMX: general registers, a stack, memory as it is, and the matrix unit, see [AmxModelTiles]. Any other instruction,
/// and any way to leave the thread other than it was, is an error.
///
/// Encodings and operations: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
final class AmxModel {
    private static final int RSP = 4;
    /// RDI, RSI, RDX, RCX, R8, R9.
    private static final int[] IN_REGISTERS = {7, 6, 2, 1, 8, 9};
    /// What a function leaves as it found it: RBX, RBP, R12 to R15.
    private static final int[] PRESERVED = {3, 5, 12, 13, 14, 15};

    private final long[] registers = new long[16];
    private final AmxModelTiles tiles;
    private boolean zero;
    private long at; // of the next byte
    private long memory; // the operand that was decoded last, if it lies there
    private long stride; // the value of its index
    private int reg;
    private int rm; // or -1 for memory

    private AmxModel(AmxModelTiles tiles) {
        this.tiles = tiles;
    }

    /// Calls kernels each as a thread of its own would, with a matrix unit that may be broken on purpose.
    static AmxCode.Caller with(Supplier<AmxModelTiles> unit) {
        return (function, a, b, c, d, e, f, g, h, i, j, k) -> {
            try (Arena arena = Arena.ofConfined()) {
                long stack = arena.allocate(1024, 16).address() + 512;
                return new AmxModel(unit.get()).run(function, new long[] {a, b, c, d, e, f, g, h, i, j, k}, stack);
            }
        };
    }

    private long run(MemorySegment function, long[] arguments, long stack) {
        for (int r = 0; r < 16; r++) {
            registers[r] = 0x5EED_0000_0000L + r; // whoever uses what was not set goes astray
        }
        for (int i = 0; i < arguments.length; i++) {
            if (i < IN_REGISTERS.length) {
                registers[IN_REGISTERS[i]] = arguments[i];
            } else {
                Native.setLong(stack + 8L * (1 + i - IN_REGISTERS.length), arguments[i]);
            }
        }
        registers[RSP] = stack;
        long[] before = registers.clone();
        at = function.address();
        while (step()) {}
        for (int r : PRESERVED) {
            expect(registers[r] == before[r], "register " + r + " is not what it was");
        }
        expect(registers[RSP] == stack, "the stack is not where it was");
        expect(tiles.released(), "the thread is left with state of tiles");
        return registers[0];
    }

    private void expect(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError("at " + Long.toHexString(at) + ": " + what);
        }
    }

    private int next() {
        return Native.ALL.get(ValueLayout.JAVA_BYTE, at++) & 0xFF;
    }

    private int next32() {
        at += 4;
        return Native.ALL.get(ValueLayout.JAVA_INT_UNALIGNED, at - 4);
    }

    /// @return whether there is more to do
    private boolean step() {
        int first = next();
        switch (first) {
            case 0x90 -> {}
            case 0xC3 -> {
                return false;
            }
            case 0x0F -> {
                int condition = next();
                expect(condition == 0x84 || condition == 0x85, "jump " + condition);
                int distance = next32();
                at += zero == (condition == 0x84) ? distance : 0;
            }
            case 0xC4 -> vex();
            default -> {
                expect((first & 0xF8) == 0x48, "byte " + first);
                general(first);
            }
        }
        return true;
    }

    private void general(int rex) {
        int r = (rex >> 2 & 1) << 3;
        int x = (rex >> 1 & 1) << 3;
        int b = (rex & 1) << 3;
        int code = next();
        switch (code) {
            case 0x01 -> {
                operand(r, x, b);
                put(result(get() + registers[reg]));
            }
            case 0x03 -> {
                operand(r, x, b);
                registers[reg] = result(registers[reg] + get());
            }
            case 0x0F -> {
                expect(next() == 0x0D, "not a prefetch");
                operand(r, x, b);
                expect(reg == 1 && rm < 0, "a prefetch of memory to be written");
            }
            case 0x31 -> {
                operand(r, x, b);
                put(result(get() ^ registers[reg]));
            }
            case 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57 -> {
                registers[RSP] -= 8;
                Native.setLong(registers[RSP], registers[code & 7 | b]);
            }
            case 0x58, 0x59, 0x5A, 0x5B, 0x5C, 0x5D, 0x5E, 0x5F -> {
                registers[code & 7 | b] = Native.getLong(registers[RSP]);
                registers[RSP] += 8;
            }
            case 0x81, 0x83 -> {
                operand(0, x, b);
                expect(reg == 0, "an addition");
                put(result(get() + (code == 0x83 ? (byte) next() : next32())));
            }
            case 0x85 -> {
                operand(r, x, b);
                result(get() & registers[reg]);
            }
            case 0x89 -> {
                operand(r, x, b);
                put(registers[reg]);
            }
            case 0x8B -> {
                operand(r, x, b);
                registers[reg] = get();
            }
            case 0x8D -> {
                operand(r, x, b);
                expect(rm < 0, "an address");
                registers[reg] = memory;
            }
            case 0xFF -> {
                operand(0, x, b);
                expect(reg == 1, "a decrement");
                put(result(get() - 1));
            }
            default -> expect(false, "opcode " + Integer.toHexString(code));
        }
    }

    private long result(long value) {
        zero = value == 0;
        return value;
    }

    private long get() {
        return rm < 0 ? Native.getLong(memory) : registers[rm];
    }

    private void put(long value) {
        if (rm < 0) {
            Native.setLong(memory, value);
        } else {
            registers[rm] = value;
        }
    }

    /// ModRM, SIB and displacement.
    private void operand(int r, int x, int b) {
        int modrm = next();
        int mod = modrm >> 6;
        reg = modrm >> 3 & 7 | r;
        rm = modrm & 7 | b;
        stride = -1;
        if (mod == 3) {
            return;
        }
        int base = rm;
        memory = 0;
        if ((modrm & 7) == 4) {
            int sib = next();
            base = sib & 7 | b;
            int index = sib >> 3 & 7 | x;
            if (index != RSP) {
                stride = registers[index] << (sib >> 6);
                memory = stride;
            }
        }
        expect(mod > 0 || (base & 7) != 5, "an address without a base");
        memory += registers[base] + (mod == 0 ? 0 : mod == 1 ? (byte) next() : next32());
        rm = -1;
    }

    /// The instructions of the matrix unit: VEX.128.W0, opcode map 0F38.
    private void vex() {
        int one = next();
        int two = next();
        int code = next();
        expect((one & 0x1F) == 2 && (two & 0x84) == 0, "VEX.128.0F38.W0");
        int prefix = two & 3;
        int v = ~two >> 3 & 15;
        operand((~one >> 7 & 1) << 3, (~one >> 6 & 1) << 3, (~one >> 5 & 1) << 3);
        expect(reg < 8 && rm < 8 && v < 8, "there are eight tiles");
        switch (code << 4 | prefix) {
            case 0x490 -> {
                if (rm < 0) {
                    tiles.configure(memory);
                } else {
                    expect(reg == 0 && rm == 0, "TILERELEASE");
                    tiles.release();
                }
            }
            case 0x493 -> {
                expect(rm == 0, "TILEZERO");
                tiles.zero(reg);
            }
            case 0x4B3, 0x4B2 -> {
                expect(rm < 0 && stride != -1, "memory with an index");
                tiles.move(reg, memory - stride, stride, prefix == 2);
            }
            case 0x5C2 -> {
                expect(rm >= 0, "tiles");
                tiles.multiply(reg, rm, v);
            }
            default -> expect(false, "matrix opcode " + Integer.toHexString(code) + " " + prefix);
        }
        expect(v == 0 || code == 0x5C, "VEX.vvvv");
    }
}
