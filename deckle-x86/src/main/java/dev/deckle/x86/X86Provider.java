package dev.deckle.x86;

import dev.deckle.kernel.KernelProvider;
import dev.deckle.kernel.Kernels;
import dev.deckle.x86.emit.Linux;

/// Offers [X86Kernels] where they can run: x86-64, Linux, AVX2 and FMA or more, native access, executable pages.
/// `-Ddeckle.x86.isa=avx2`, `avx512` or `amx` asks for one instruction set; `avx512` leaves the matrix unit (AMX) out.
public final class X86Provider implements KernelProvider {
    public X86Provider() {}

    @Override
    public String name() {
        return "x86";
    }

    @Override
    public int priority() {
        return 200;
    }

    @Override
    public Kernels open() {
        String arch = System.getProperty("os.arch");
        if (!arch.equals("amd64") && !arch.equals("x86_64")) {
            throw new UnsupportedOperationException("the processor is " + arch + ", not x86-64");
        }
        String os = System.getProperty("os.name");
        if (!os.equals("Linux")) {
            throw new UnsupportedOperationException("the system is " + os + ", not Linux");
        }
        try {
            return X86Kernels.open(System.getProperty("deckle.x86.isa", ""));
        } catch (LinkageError e) { // the class that links the way into native code failed, now or before
            Throwable cause = e;
            while (cause.getCause() != null) {
                cause = cause.getCause();
            }
            throw new UnsupportedOperationException(
                    "native code cannot be called (see --enable-native-access): " + cause.getMessage(), e);
        }
    }
}
