package dev.deckle.reward;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringWriter;
import java.lang.module.ModuleDescriptor;
import java.net.URI;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.annotation.processing.AbstractProcessor;
import javax.annotation.processing.RoundEnvironment;
import javax.lang.model.SourceVersion;
import javax.lang.model.element.Element;
import javax.lang.model.element.Modifier;
import javax.lang.model.element.TypeElement;
import javax.lang.model.util.ElementFilter;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.StandardLocation;
import javax.tools.ToolProvider;

/// One source file of the user's, compiled in memory.
///
/// It belongs to no module, and sees what the modules of this process export and what the jar holds that was given with
/// it. A module of the JDK that this process was started without is refused by the compiler, which says its name,
/// rather than missed in the middle of a run (but for one that a library here names as optional: Gson's `java.sql`).
/// Its public classes may have any name: the file's need not be theirs.
final class SourceFile {
    /// @param classes of the file, by name, with nested ones
    /// @param publicClasses names, as `Class.forName` wants them, of those in which one may look for the reward, in
    ///        their order in the file
    record Compiled(Map<String, byte[]> classes, List<String> publicClasses) {}

    private SourceFile() {}

    /// @throws IOException with the compiler's first error on one line, as `FILE:LINE: MESSAGE`
    static Compiled compile(Path file, Optional<Path> jar) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new NoSuchFileException(file.toString());
        }
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        if (compiler == null) {
            throw new IOException(file + ": this Java cannot compile: a JDK is needed, or a class in a jar");
        }
        var errors = new DiagnosticCollector<JavaFileObject>();
        var finder = new Finder();
        var said = new StringWriter(); // of what is wrong with the compiler itself, or with the process it is in
        try (StandardJavaFileManager files = compiler.getStandardFileManager(
                errors, Locale.ENGLISH, StandardCharsets.UTF_8)) {
            List<String> options = new ArrayList<>(List.of("-Xlint:none", "-g"));
            options.addAll(surroundings(files, jar));
            var memory = new Memory(files);
            var source = new Source(file, Files.readString(file));
            var task = compiler.getTask(said, memory, errors, options, null, List.of(source));
            task.setProcessors(List.of(finder));
            if (task.call()) {
                return new Compiled(memory.classes(), List.copyOf(finder.found));
            }
        } catch (CharacterCodingException e) {
            throw new IOException(file + ": is not UTF-8", e);
        } catch (IllegalStateException | StackOverflowError e) {
            throw new IOException(file + ": the compiler gave up: " + Outcome.said(e), e);
        }
        throw new IOException(firstError(file, errors.getDiagnostics(), said.toString()));
    }

    private static String firstError(Path file, List<Diagnostic<? extends JavaFileObject>> all, String said) {
        var errors = all.stream().filter(d -> d.getKind() == Diagnostic.Kind.ERROR).toList();
        if (errors.isEmpty()) {
            return file + ": the compiler gave up: " + said.lines().filter(l -> !l.isBlank()).findFirst().orElse("");
        }
        var first = errors.getFirst();
        String place = first.getLineNumber() > 0 ? file + ":" + first.getLineNumber() : file.toString();
        String more = errors.size() > 1 ? " (and " + (errors.size() - 1) + " more)" : "";
        return place + ": " + first.getMessage(Locale.ENGLISH).strip().replaceAll("\\s*\\R\\s*", "; ") + more;
    }

    /// What the source may name. The compiler would look into the current directory by default; here it does not.
    private static List<String> surroundings(StandardJavaFileManager files, Optional<Path> jar) throws IOException {
        List<Path> classPath = new ArrayList<>(jar.stream().toList());
        List<String> options = List.of();
        if (RewardFunction.class.getModule().isNamed()) {
            files.setLocationFromPaths(StandardLocation.MODULE_PATH, paths("jdk.module.path"));
            String modules = ModuleLayer.boot().modules().stream()
                    .map(Module::getDescriptor)
                    .map(ModuleDescriptor::name)
                    .collect(Collectors.joining(","));
            options = List.of("--limit-modules", modules, "--add-modules", modules);
        } else {
            classPath.addAll(paths("java.class.path"));
        }
        files.setLocationFromPaths(StandardLocation.CLASS_PATH, classPath);
        files.setLocationFromPaths(StandardLocation.SOURCE_PATH, List.of());
        return options;
    }

    private static List<Path> paths(String property) {
        return Stream.of(System.getProperty(property, "").split(File.pathSeparator))
                .filter(part -> !part.isEmpty())
                .map(Path::of)
                .filter(Files::exists)
                .toList();
    }

    /// The file as the compiler reads it, whatever it is called.
    private static final class Source extends SimpleJavaFileObject {
        private final String text;

        Source(Path file, String text) {
            super(file.toUri(), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return !simpleName.endsWith("-info"); // the compiler asks whether this is a module's or package's
        }
    }

    /// Where the compiled classes go.
    private static final class Memory extends ForwardingJavaFileManager<StandardJavaFileManager> {
        private final Map<String, ByteArrayOutputStream> written = new HashMap<>();

        Memory(StandardJavaFileManager files) {
            super(files);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                Location location, String className, JavaFileObject.Kind kind, FileObject sibling) {
            URI name = URI.create("memory:///" + className.replace('.', '/') + kind.extension);
            return new SimpleJavaFileObject(name, kind) {
                @Override
                public OutputStream openOutputStream() {
                    return written.computeIfAbsent(className, _ -> new ByteArrayOutputStream());
                }
            };
        }

        Map<String, byte[]> classes() {
            return written.entrySet().stream()
                    .collect(Collectors.toMap(Map.Entry::getKey, e -> e.getValue().toByteArray()));
        }
    }

    /// Notes the public classes in the order of the file, which class files do not tell.
    private static final class Finder extends AbstractProcessor {
        private final List<String> found = new ArrayList<>();

        @Override
        public Set<String> getSupportedAnnotationTypes() {
            return Set.of("*");
        }

        @Override
        public SourceVersion getSupportedSourceVersion() {
            return SourceVersion.latest();
        }

        @Override
        public boolean process(Set<? extends TypeElement> annotations, RoundEnvironment round) {
            note(ElementFilter.typesIn(round.getRootElements()));
            return false;
        }

        private void note(Iterable<TypeElement> types) {
            for (TypeElement type : types) {
                if (type.getModifiers().contains(Modifier.PUBLIC)) {
                    found.add(processingEnv.getElementUtils().getBinaryName(type).toString());
                    List<? extends Element> within = type.getEnclosedElements();
                    note(ElementFilter.typesIn(within));
                }
            }
        }
    }
}
