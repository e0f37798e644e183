package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.classfile.ClassFile;
import java.lang.classfile.constantpool.ClassEntry;
import java.lang.classfile.constantpool.Utf8Entry;
import java.lang.module.ModuleDescriptor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The rules of the house, on the sources and classes of all modules: which way dependencies point, how long a file may
/// be, what documentation there must be.
class HouseTest {
    private static final Path ROOT = Path.of("").toAbsolutePath().getParent();
    private static final String US = "dev.deckle.";

    /// What a module may read of ours.
    private static final Map<String, Set<String>> MODULES = Map.of(
            "tensor", Set.of(),
            "vector", Set.of("tensor"),
            "x86", Set.of("tensor"),
            "text", Set.of("tensor"),
            "lm", Set.of("tensor", "text"),
            "align", Set.of("lm"),
            "mpi", Set.of("tensor", "lm"),
            "study", Set.of("tensor", "lm", "align"),
            "app", Set.of("tensor", "x86", "text", "lm", "align", "mpi", "study"));

    /// The packages of a module: each may use those before it, none of those after it.
    private static final Map<String, List<String>> PACKAGES = Map.of(
            "text", List.of("json", "tokenizer", "jinja", "chat"),
            "lm", List.of("distributed", "data", "nn", "optim", "zero", "models", "generate", "lm", "train"),
            "align", List.of("reward", "align", "synth"));

    private static List<Path> files(String under, String ending) throws IOException {
        List<Path> found = new ArrayList<>();
        for (String module : MODULES.keySet()) {
            Path folder = ROOT.resolve("deckle-" + module).resolve(under);
            if (Files.isDirectory(folder)) {
                try (Stream<Path> all = Files.walk(folder)) {
                    all.filter(file -> file.toString().endsWith(ending)).forEach(found::add);
                }
            }
        }
        assertFalse(found.isEmpty(), "no " + ending + " under " + ROOT + "/deckle-*/" + under);
        return found;
    }

    private static void assertNone(List<String> wrong) {
        assertEquals("", String.join("\n", wrong));
    }

    @Test
    void modulesReadOnlyWhatIsBelowThem() throws IOException {
        List<String> wrong = new ArrayList<>();
        for (Path file : files("target/classes", "module-info.class")) {
            ModuleDescriptor module;
            try (InputStream in = Files.newInputStream(file)) {
                module = ModuleDescriptor.read(in);
            }
            String name = module.name().substring(US.length());
            for (ModuleDescriptor.Requires required : module.requires()) {
                String other = required.name();
                boolean below = !other.startsWith(US) || MODULES.get(name).contains(other.substring(US.length()));
                if (!below || other.equals("jdk.incubator.vector") && !name.equals("vector")) {
                    wrong.add(module.name() + " must not require " + other);
                }
            }
        }
        assertNone(wrong);
    }

    @Test
    void packagesUseOnlyThoseBelowThem() throws IOException {
        Set<String> wrong = new TreeSet<>();
        for (String module : PACKAGES.keySet()) {
            Path classes = ROOT.resolve("deckle-" + module).resolve("target/classes");
            try (Stream<Path> all = Files.walk(classes)) {
                for (Path file : all.filter(f -> f.toString().endsWith(".class")).toList()) {
                    Path own = classes.relativize(file).getParent();
                    if (own == null) {
                        continue; // module-info
                    }
                    int rank = rank(module, own.toString().replace(File.separatorChar, '.'));
                    for (String used : packagesIn(Files.readAllBytes(file))) {
                        if (rank(module, used) > rank) {
                            wrong.add(own + " must not use " + used);
                        }
                    }
                }
            }
        }
        assertNone(List.copyOf(wrong));
    }

    /// -1: a package of another module, which the module system already keeps below this one.
    private static int rank(String module, String name) {
        return name.startsWith(US) ? PACKAGES.get(module).indexOf(name.substring(US.length())) : -1;
    }

    private static final Pattern NAME = Pattern.compile("(?:^|[^\\w/])L?(dev/deckle/[\\w/]+)/\\w");

    /// Our packages that a class names, be it as a class, in a descriptor or in a generic signature.
    private static Set<String> packagesIn(byte[] bytes) {
        Set<String> used = new TreeSet<>();
        for (var entry : ClassFile.of().parse(bytes).constantPool()) {
            String text = switch (entry) {
                case ClassEntry c -> c.asInternalName();
                case Utf8Entry u -> u.stringValue();
                default -> "";
            };
            NAME.matcher(text).results().forEach(found -> used.add(found.group(1).replace('/', '.')));
        }
        return used;
    }

    @Test
    void everyPackageIsOneOfTheHouse() throws IOException {
        List<String> wrong = new ArrayList<>();
        for (String module : PACKAGES.keySet()) {
            Path sources = ROOT.resolve("deckle-" + module).resolve("src/main/java/dev/deckle");
            try (Stream<Path> folders = Files.list(sources)) {
                folders.map(folder -> folder.getFileName().toString())
                        .filter(name -> !PACKAGES.get(module).contains(name))
                        .forEach(name -> wrong.add("dev.deckle." + name + " has no place in the order of packages"));
            }
        }
        assertNone(wrong);
    }

    @Test
    void filesAreShortAndFinished() throws IOException {
        String unfinished = "\\b(" + "TO" + "DO|FIX" + "ME|X" + "XX)\\b"; // not to be found in this file
        Pattern forbidden = Pattern.compile(unfinished);
        List<String> wrong = new ArrayList<>();
        for (Path file : files("src", ".java")) {
            List<String> lines = Files.readAllLines(file);
            if (lines.size() > 800) {
                wrong.add(file + ": " + lines.size() + " lines, 800 is the end");
            }
            for (int i = 0; i < lines.size(); i++) {
                String line = lines.get(i);
                String where = file + ":" + (i + 1) + ": ";
                if (line.length() > 120) {
                    wrong.add(where + line.length() + " columns, 120 is the end");
                }
                if (line.endsWith(" ") || line.contains("\t")) {
                    wrong.add(where + "a tab or a space at the end");
                }
                if (forbidden.matcher(line).find()) {
                    wrong.add(where + "unfinished: " + line.strip());
                }
            }
        }
        assertNone(wrong);
    }

    @Test
    void importsAreUsed() throws IOException {
        Pattern imported = Pattern.compile("^import (?:static )?[\\w.]+\\.(\\w+);$", Pattern.MULTILINE);
        List<String> wrong = new ArrayList<>();
        for (Path file : files("src", ".java")) {
            String text = Files.readString(file);
            imported.matcher(text).results().forEach(found -> {
                if (Pattern.compile("\\b" + found.group(1) + "\\b").matcher(text).results().limit(2).count() < 2) {
                    wrong.add(file + ": unused: " + found.group());
                }
            });
        }
        assertNone(wrong);
    }

    @Test
    void everyPackageIsIntroduced() throws IOException {
        Set<Path> packages = files("src/main/java", ".java").stream()
                .filter(file -> !file.endsWith("module-info.java"))
                .map(Path::getParent)
                .collect(Collectors.toSet());
        assertNone(packages.stream()
                .filter(folder -> !Files.exists(folder.resolve("package-info.java")))
                .map(folder -> folder + " has no package-info.java")
                .sorted()
                .toList());
    }

    /// Every reference and tag of the documentation, by the compiler's own check; what has no comment needs none.
    @Test
    void documentationHasNoBrokenReferences(@TempDir Path classes) throws IOException {
        ToolProvider javac = ToolProvider.findFirst("javac").orElseThrow();
        List<String> wrong = new ArrayList<>();
        for (String module : MODULES.keySet()) {
            List<String> args = new ArrayList<>(List.of("-Xdoclint:all,-missing", "-Xlint:none", "--release", "25"));
            args.addAll(List.of("-p", System.getProperty("jdk.module.path"), "-d", classes.resolve(module).toString()));
            int options = args.size();
            Path sources = ROOT.resolve("deckle-" + module).resolve("src/main/java");
            if (Files.isDirectory(sources)) {
                try (Stream<Path> all = Files.walk(sources)) {
                    all.map(Path::toString).filter(file -> file.endsWith(".java")).forEach(args::add);
                }
            }
            var said = new StringWriter();
            var out = new PrintWriter(said);
            if (args.size() > options && javac.run(out, out, args.toArray(String[]::new)) != 0) {
                wrong.add(said.toString());
            }
        }
        assertNone(wrong);
    }

    @Test
    void theCheckOfPackagesSeesAllWaysToNameOne() {
        record Sample(List<dev.deckle.train.Metrics> generic) {}
        try (InputStream in = Sample.class.getResourceAsStream("HouseTest$1Sample.class")) {
            assertTrue(packagesIn(in.readAllBytes()).contains("dev.deckle.train"));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
