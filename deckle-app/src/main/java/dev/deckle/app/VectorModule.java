package dev.deckle.app;

import dev.deckle.kernel.KernelProvider;
import dev.deckle.kernel.Kernels;
import java.lang.module.Configuration;
import java.lang.module.ModuleFinder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;

/// Brings the vector kernels in while the program runs, only when they are needed.
///
/// With `dev.deckle.vector` on the module path, the JVM resolves `jdk.incubator.vector` before `main`: it prints a
/// warning on every start and cannot use its archived module graph, which makes each start half as long again. Resolved
/// later, the incubator module is the same module of the boot loader, with the same intrinsics (measured: the same
/// nanoseconds).
///
/// The JDK does this itself for management agents, in an internal class that the launcher opens to us by
/// `--add-exports`. Programs that use Deckle as a library put the vector module on their module path and take the
/// warning.
public final class VectorModule implements KernelProvider {
    private static final String NAME = "dev.deckle.vector";

    public VectorModule() {}

    @Override
    public String name() {
        return "vector";
    }

    /// Below the module itself, where that is there already.
    @Override
    public int priority() {
        return 99;
    }

    @Override
    public Kernels open() {
        Path jar = jar().orElseThrow(() -> new UnsupportedOperationException("its module was not shipped"));
        return ServiceLoader.load(layer(jar), KernelProvider.class).stream()
                .map(ServiceLoader.Provider::get)
                .filter(p -> p.getClass().getModule().getName().equals(NAME))
                .findFirst()
                .orElseThrow()
                .open();
    }

    /// Beside the module path: `app/deckle-app.jar` and `app/vector/deckle-vector.jar`.
    private static Optional<Path> jar() {
        return ModuleLayer.boot()
                .configuration()
                .findModule(VectorModule.class.getModule().getName())
                .flatMap(module -> module.reference().location())
                .map(uri -> Path.of(uri).resolveSibling("vector").resolve("deckle-vector.jar"))
                .filter(Files::exists);
    }

    private static ModuleLayer layer(Path jar) {
        ModuleLayer parent = incubator().getLayer();
        Configuration graph = parent.configuration().resolve(ModuleFinder.of(jar), ModuleFinder.of(), Set.of(NAME));
        var layer = ModuleLayer.defineModulesWithOneLoader(
                graph, List.of(parent), VectorModule.class.getClassLoader());
        layer.enableNativeAccess(layer.layer().findModule(NAME).orElseThrow());
        return layer.layer();
    }

    private static Module incubator() {
        try {
            Class<?> modules = Class.forName("jdk.internal.module.Modules");
            return (Module) modules.getMethod("loadModule", String.class).invoke(null, "jdk.incubator.vector");
        } catch (ReflectiveOperationException e) {
            throw new UnsupportedOperationException("the Vector API cannot be loaded: start deckle by its launcher", e);
        }
    }
}
