package dev.deckle.x86;

import dev.deckle.kernel.KernelProvider;
import dev.deckle.kernel.Kernels;
import java.util.Locale;

/// Offers [X86Kernels] where they can run: x86-64, Linux, AVX2 and FMA or more, native access, executable pages.
/// `-Ddeckle.x86.isa=avx2` or `avx512` asks for one instruction set.
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
            return X86Kernels.open(System.getProperty("deckle.x86.isa", "").toLowerCase(Locale.ROOT));
        } catch (IllegalCallerException e) {
            throw refused(e);
        } catch (ExceptionInInitializerError e) {
            throw refused(e.getCause());
        }
    }

    /// Whatever stopped the foreign-function classes from loading, told as a reason.
    private static UnsupportedOperationException refused(Throwable cause) {
        String why = cause instanceof IllegalCallerException
                ? "native access is denied to module dev.deckle.x86 (--enable-native-access)"
                : cause.getMessage();
        return new UnsupportedOperationException(why, cause);
    }
}
