package dev.deckle.x86;

import static dev.deckle.x86.emit.Asm.Mem.at;
import static dev.deckle.x86.emit.Asm.Reg.*;

import dev.deckle.kernel.NativeCall;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// What the processor can do and the system lets it do: a feature counts only if the system saves its registers when it
/// switches threads. `avx512` stands for F, BW, DQ and VL together.
record Cpu(String brand, boolean fma, boolean avx2, boolean avx512, boolean avx512Bf16, boolean amxBf16) {
    private static final int XCR0_AVX = 0x6;
    private static final int XCR0_AVX512 = 0xE6;
    private static final int XCR0_AMX = 0x60000;

    /// The widest instruction set that there are kernels for.
    Optional<Isa> isa() {
        return !fma || !avx2 ? Optional.empty() : Optional.of(avx512 ? Isa.AVX512 : Isa.AVX2);
    }

    /// `AMD EPYC (FMA, AVX2, AVX-512)`.
    String describe() {
        List<String> has = new ArrayList<>();
        String[] names = {"FMA", "AVX2", "AVX-512", "AVX512_BF16", "AMX_BF16"};
        boolean[] present = {fma, avx2, avx512, avx512Bf16, amxBf16};
        for (int i = 0; i < names.length; i++) {
            if (present[i]) {
                has.add(names[i]);
            }
        }
        return brand + (has.isEmpty() ? "" : " (" + String.join(", ", has) + ")");
    }

    /// Asks the processor, through a few emitted instructions.
    static Cpu detect() {
        Asm asm = new Asm(Isa.AVX2);
        asm.push(RBX); // CPUID overwrites it, and it is the caller's
        asm.mov(R9, RDX); // out
        asm.mov(RAX, RDI); // leaf
        asm.mov(RCX, RSI); // subleaf
        asm.cpuid();
        asm.mov(at(R9, 0), RAX);
        asm.mov(at(R9, 8), RBX);
        asm.mov(at(R9, 16), RCX);
        asm.mov(at(R9, 24), RDX);
        asm.pop(RBX);
        asm.ret();
        int xgetbv = asm.size();
        asm.mov(R8, RDI); // out
        asm.zero(RCX);
        asm.xgetbv();
        asm.mov(at(R8, 0), RAX);
        asm.ret();
        MemorySegment code = Linux.executable(asm.bytes());

        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(32, 8);
            int leaves = cpuid(code, out, 0, 0)[0];
            int[] basic = cpuid(code, out, 1, 0);
            int[] extended = leaves < 7 ? new int[4] : cpuid(code, out, 7, 0);
            int[] more = extended[0] < 1 ? new int[4] : cpuid(code, out, 7, 1);
            int saved = 0;
            if (has(basic[2], 27)) { // OSXSAVE
                NativeCall.call(code.asSlice(xgetbv), out.address(), 0, 0, 0, 0, 0);
                saved = out.get(ValueLayout.JAVA_INT, 0);
            }
            boolean avx = (saved & XCR0_AVX) == XCR0_AVX;
            boolean avx512 = (saved & XCR0_AVX512) == XCR0_AVX512 && has(extended[1], 16, 17, 30, 31);
            return new Cpu(brand(code, out),
                    avx && has(basic[2], 12),
                    avx && has(extended[1], 5),
                    avx512,
                    avx512 && has(more[0], 5),
                    (saved & XCR0_AMX) == XCR0_AMX && has(extended[3], 22, 24));
        }
    }

    private static String brand(MemorySegment code, MemorySegment out) {
        int first = 0x80000002;
        if (Integer.compareUnsigned(cpuid(code, out, 0x80000000, 0)[0], first + 2) < 0) {
            return "x86-64 processor";
        }
        byte[] name = new byte[48];
        for (int i = 0; i < name.length; i++) {
            name[i] = (byte) (cpuid(code, out, first + i / 16, 0)[i / 4 % 4] >> 8 * (i % 4));
        }
        return new String(name, StandardCharsets.US_ASCII).replace('\0', ' ').strip();
    }

    /// EAX, EBX, ECX, EDX.
    private static int[] cpuid(MemorySegment code, MemorySegment out, int leaf, int subleaf) {
        NativeCall.call(code, leaf, subleaf, out.address(), 0, 0, 0);
        int[] registers = new int[4];
        for (int i = 0; i < 4; i++) {
            registers[i] = (int) out.get(ValueLayout.JAVA_LONG, 8L * i);
        }
        return registers;
    }

    private static boolean has(int register, int... bits) {
        for (int bit : bits) {
            if ((register >> bit & 1) == 0) {
                return false;
            }
        }
        return true;
    }
}
