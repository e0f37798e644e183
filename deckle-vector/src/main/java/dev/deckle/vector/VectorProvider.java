package dev.deckle.vector;

import dev.deckle.kernel.KernelProvider;
import dev.deckle.kernel.Kernels;

/// Offers the Vector API kernels where this JVM compiles them well. Mentions no vector type: on a class path without
/// the incubator module such a mention would throw out of the service loader.
public final class VectorProvider implements KernelProvider {
    @Override
    public String name() {
        return "vector";
    }

    @Override
    public int priority() {
        return 100;
    }

    @Override
    public Kernels open() {
        // as a module of its own it could not have been loaded without the incubator module
        if (!VectorProvider.class.getModule().isNamed()
                && ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            throw new UnsupportedOperationException(
                    "the module jdk.incubator.vector is not loaded: add --add-modules jdk.incubator.vector");
        }
        String mode = System.getProperty("java.vm.info", "");
        if (mode.contains("interpreted") || mode.contains("emulated-client")) {
            // each vector operation would be a method call that allocates its result
            throw new UnsupportedOperationException(
                    "the JVM runs without its optimizing compiler (" + mode
                            + "): the Vector API would be slower than loops");
        }
        return VectorKernels.open();
    }
}
