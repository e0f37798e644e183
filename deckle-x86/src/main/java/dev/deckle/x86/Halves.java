package dev.deckle.x86;

import dev.deckle.kernel.NativeCall;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Linux;
import java.util.Optional;

/// The kernels for bf16: AVX512_BF16, and the matrix unit for large products where the processor has one, the system
/// gives it, a child process survives it and it proves itself.
///
/// @param code empty where there are none
/// @param amx whether the matrix unit is used
/// @param describe what runs, and why the matrix unit does not where the processor has one; to follow other words
record Halves(Optional<Code> code, boolean amx, String describe) {
    /// @param wanted whether the matrix unit may be used
    static Halves open(Cpu cpu, Isa isa, boolean wanted) {
        if (isa != Isa.AVX512) {
            return new Halves(Optional.empty(), false, "");
        }
        if (!cpu.avx512Bf16()) { // which packs for the matrix unit, and does what is too small for it
            return new Halves(Optional.empty(), false, cpu.amxBf16() ? unused("it needs AVX512_BF16 beside it") : "");
        }
        if (!cpu.amxBf16()) {
            return vectors("");
        }
        if (!wanted) {
            return vectors(unused("left out by request"));
        }
        Optional<String> refused = Linux.askForTiles();
        return refused.isPresent() ? vectors(unused(refused.get())) : tried(new AmxCode(NativeCall::call));
    }

    /// With the matrix unit if a child process survives it and it passes its check.
    static Halves tried(AmxCode unit) {
        return unit.tried().map(why -> vectors(unused(why))).orElseGet(() -> proven(unit));
    }

    /// With the matrix unit if it passes its check.
    static Halves proven(AmxCode unit) {
        Code code = new Code(Isa.AVX512, Asm.VDPBF16PS, Optional.of(unit));
        return AmxCheck.passes(code)
                ? new Halves(Optional.of(code), true, "; bf16 by AMX_BF16, few rows by AVX512_BF16")
                : vectors(unused("its products were wrong in the check at the start"));
    }

    private static Halves vectors(String more) {
        Code code = new Code(Isa.AVX512, Asm.VDPBF16PS, Optional.empty());
        return new Halves(Optional.of(code), false, "; bf16 by AVX512_BF16" + more);
    }

    private static String unused(String reason) {
        return "; AMX_BF16 not used: " + reason;
    }
}
