package dev.deckle.reward;

import dev.deckle.io.Shown;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.jar.JarFile;

/// A class of the user's, from a source file or a jar, with a class loader of its own that closes with it.
final class UserClass implements RewardFunction {
    private final RewardFunction function;
    private final Loader loader;

    private UserClass(RewardFunction function, Loader loader) {
        this.function = function;
        this.loader = loader;
    }

    /// The file's first public class that is a reward and can be made without arguments.
    static RewardFunction compiled(Path file, Optional<Path> jar) throws IOException {
        URL[] urls = urls(jar);
        SourceFile.Compiled compiled = SourceFile.compile(file, jar);
        Loader loader = new Loader(urls, compiled.classes());
        try {
            for (String name : compiled.publicClasses()) {
                Class<?> type = load(name, loader, file.toString());
                if (RewardFunction.class.isAssignableFrom(type) && constructor(type).isPresent()) {
                    return new UserClass(make(type, file.toString()), loader);
                }
            }
            throw new IOException(file + ": expected a public class that implements " + RewardFunction.class.getName()
                    + " and has a public constructor without arguments");
        } catch (IOException | RuntimeException | Error e) {
            loader.close();
            throw e;
        }
    }

    /// The class of that name, from the jar or else from where the program's own classes are.
    static RewardFunction named(String name, Optional<Path> jar) throws IOException {
        String where = jar.map(Path::toString).orElse("without a jar (--reward-jar)");
        Loader loader = new Loader(urls(jar), Map.of());
        try {
            Class<?> type = load(name, loader, where);
            if (!RewardFunction.class.isAssignableFrom(type)) {
                throw new IOException(where + ": " + Shown.brief(name) + " does not implement "
                        + RewardFunction.class.getName());
            }
            return new UserClass(make(type, where), loader);
        } catch (IOException | RuntimeException | Error e) {
            loader.close();
            throw e;
        }
    }

    private static URL[] urls(Optional<Path> jar) throws IOException {
        if (jar.isEmpty()) {
            return new URL[0];
        }
        Path file = jar.get();
        if (!Files.exists(file)) {
            throw new NoSuchFileException(file.toString());
        }
        if (!Files.isDirectory(file)) {
            try (var _ = new JarFile(file.toFile())) { // a class loader passes over what is no jar
            } catch (IOException e) {
                throw new IOException(file + ": expected a jar or a folder of classes, but " + e.getMessage(), e);
            }
        }
        return new URL[] {file.toUri().toURL()};
    }

    private static Class<?> load(String name, Loader loader, String where) throws IOException {
        try {
            return Class.forName(name, true, loader);
        } catch (ClassNotFoundException e) {
            throw new IOException(where + ": no class " + Shown.brief(name), e);
        } catch (LinkageError e) { // of another version, damaged, without what it needs, or failing to initialise
            Throwable why = e instanceof ExceptionInInitializerError && e.getCause() != null ? e.getCause() : e;
            throw new IOException(where + ": " + Shown.brief(name) + " cannot be loaded: " + Outcome.said(why), e);
        }
    }

    private static Optional<Constructor<?>> constructor(Class<?> type) {
        return Modifier.isAbstract(type.getModifiers())
                ? Optional.empty()
                : List.of(type.getConstructors()).stream().filter(c -> c.getParameterCount() == 0).findFirst();
    }

    private static RewardFunction make(Class<?> type, String where) throws IOException {
        try {
            return (RewardFunction) constructor(type)
                    .orElseThrow(() -> new IOException(where + ": " + type.getName()
                            + " needs a public constructor without arguments"))
                    .newInstance();
        } catch (InvocationTargetException e) {
            throw new IOException(
                    where + ": the constructor of " + type.getName() + " failed: " + Outcome.said(e.getCause()), e);
        } catch (ReflectiveOperationException | LinkageError e) {
            throw new IOException(where + ": " + type.getName() + " cannot be made: it and its constructor must be "
                    + "public (" + Outcome.said(e) + ")", e);
        }
    }

    /// With the user's class loader as the thread's, where libraries look for their services.
    @Override
    public double[] rewards(List<Sample> samples) {
        Thread thread = Thread.currentThread();
        ClassLoader before = thread.getContextClassLoader();
        thread.setContextClassLoader(loader);
        try {
            return function.rewards(samples);
        } finally {
            thread.setContextClassLoader(before);
        }
    }

    @Override
    public String name() {
        return function.name();
    }

    @Override
    public void close() {
        try (loader) {
            function.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Looks where the program's own classes are, then among the compiled ones, then in the jar.
    private static final class Loader extends URLClassLoader {
        private final Map<String, byte[]> compiled;

        Loader(URL[] jar, Map<String, byte[]> compiled) {
            super(jar, RewardFunction.class.getClassLoader());
            this.compiled = compiled;
        }

        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            byte[] bytes = compiled.get(name);
            return bytes == null ? super.findClass(name) : defineClass(name, bytes, 0, bytes.length);
        }
    }
}
