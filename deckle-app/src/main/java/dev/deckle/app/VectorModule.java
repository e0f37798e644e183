package dev.deckle.app;

import java.lang.module.Configuration;
import java.lang.module.ModuleFinder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// Brings the vector kernels in while the program runs, only when a verb computes.
///
/// With `dev.deckle.vector` on the module path, the JVM resolves `jdk.incubator.vector` before `main`: it prints a
/// warning on every start and cannot use its archived module graph, which makes each start half as long again. Resolved
/// later, the incubator module is the same module of the boot loader, with the same intrinsics (measured: the same
/// nanoseconds). The door finds the kernels because [java.util.ServiceLoader] asks the thread's context class loader,
/// which from here on sees the added layer.
///
/// The JDK does this itself for management agents, in an internal class that the launcher opens to us by
/// `--add-exports`. Programs that use Deckle as a library put the vector module on their module path and take the
/// warning.
final class VectorModule {
    private static final String NAME = "dev.deckle.vector";

    private VectorModule() {}

    /// Does nothing where the module is already there, or was not shipped; the door then says what runs instead.
    static void attach() {
        if (ModuleLayer.boot().findModule(NAME).isPresent()) {
            return;
        }
        jar().ifPresent(jar -> Thread.currentThread().setContextClassLoader(load(jar)));
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

    private static ClassLoader load(Path jar) {
        ModuleLayer parent = incubator().getLayer();
        Configuration graph = parent.configuration().resolve(ModuleFinder.of(jar), ModuleFinder.of(), Set.of(NAME));
        var layer = ModuleLayer.defineModulesWithOneLoader(
                graph, List.of(parent), VectorModule.class.getClassLoader());
        layer.enableNativeAccess(layer.layer().findModule(NAME).orElseThrow());
        return layer.layer().findLoader(NAME);
    }

    private static Module incubator() {
        try {
            Class<?> modules = Class.forName("jdk.internal.module.Modules");
            return (Module) modules.getMethod("loadModule", String.class).invoke(null, "jdk.incubator.vector");
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(
                    "the Vector API cannot be loaded: start deckle by its launcher, or with --no-vector", e);
        }
    }
}
