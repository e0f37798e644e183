package dev.deckle.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.reward.RewardPanel.Weighted;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class UserClassTest {
    private static final String REWARD = """
            public %s implements dev.deckle.reward.RewardFunction {
                public double[] rewards(java.util.List<Sample> samples) {
                    return samples.stream().mapToDouble(s -> %s).toArray();
                }
            }
            """;

    @TempDir
    private Path folder;

    private Path write(String name, String source) throws IOException {
        return Files.writeString(folder.resolve(name), source);
    }

    private static double[] judge(RewardFunction f) {
        return f.rewards(Samples.completions("a", "bb", "ccc"));
    }

    private String fails(Path file) {
        var e = assertThrows(IOException.class, () -> Rewards.open(file.toString()));
        assertEquals(1, e.getMessage().lines().count(), e.getMessage());
        assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
        return e.getMessage().substring(file.toString().length());
    }

    @Test
    void aSourceFileIsAReward() throws IOException {
        Path file = write("Short.java", REWARD.formatted("class Short", "s.completion().length() <= 2 ? 1 : 0"));
        RewardFunction f = Rewards.open(file.toString());
        assertEquals("Short", f.name());
        assertArrayEquals(new double[] {1, 1, 0}, judge(f));
        f.close();
    }

    /// The six lines of the documentation, from there.
    @Test
    void theExampleOfTheDocumentationRuns() throws IOException {
        List<String> docs = Files.readAllLines(
                Path.of("src/main/java/dev/deckle/reward/RewardFunction.java"));
        int start = docs.indexOf("/// ```java") + 1;
        int end = start + docs.subList(start, docs.size()).indexOf("/// ```");
        String source = String.join("\n", docs.subList(start, end)).replaceAll("(?m)^/// ?", "");
        assertEquals(5, source.lines().count(), source);
        RewardFunction f = Rewards.open(write("Short.java", source).toString());
        assertArrayEquals(new double[] {1, 0}, f.rewards(Samples.completions("a", "b".repeat(81))));
        f.close();
    }

    @Test
    void itMaySeeGsonAndTheJdkAndHaveNestedClassesAndAPackage() throws IOException {
        Path file = write("any-name.java", """
                package com.acme;

                import com.google.gson.JsonPrimitive;
                import dev.deckle.reward.RewardFunction;
                import java.net.http.HttpClient;
                import java.util.List;

                class Helper {
                    static final double ONE = 1;
                }

                interface Inner {}

                public class Judge {
                    public static abstract class Base implements RewardFunction {}

                    public static class NoArguments extends Base {
                        private final Class<?> client = HttpClient.class;

                        public NoArguments() {}

                        public NoArguments(int n) {}

                        private record Pair(double a, double b) {}

                        @Override
                        public double[] rewards(List<Sample> samples) {
                            return samples.stream()
                                    .map(s -> new Pair(Helper.ONE, s.columns().get("n").getAsDouble()))
                                    .mapToDouble(p -> p.a() + p.b()).toArray();
                        }
                    }

                    public static class Later extends NoArguments {}
                }
                """);
        RewardFunction f = Rewards.open(file.toString());
        assertEquals("NoArguments", f.name());
        assertEquals(8, Samples.judge(f, Samples.of("", "", "{\"n\": 7}")));
        f.close();
    }

    @Test
    void theFirstInTheFileIsTaken() throws IOException {
        for (String[] names : new String[][] {{"Zebra", "Ant"}, {"Ant", "Zebra"}}) {
            Path file = write("two.java", REWARD.formatted("class " + names[0], "1")
                    + REWARD.formatted("class " + names[1], "2"));
            RewardFunction f = Rewards.open(file.toString());
            assertEquals(names[0], f.name());
            f.close();
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "public class A {|:1: reached end of file",
        "public class A { int x = y; }|:1: cannot find symbol; symbol:   variable y",
        "public class A { int x = y; int z = y; }|(and 1 more)",
        "public class A { static final int X = \"a\"; }|:1: incompatible types",
        "class A { dev.deckle.json.StrictJson c; }|dev.deckle.json",
        "public class A {}|: expected a public class that implements dev.deckle.reward.RewardFunction",
        "''|: expected a public class that implements",
    })
    void whatDoesNotCompileIsOneLine(String source, String expected) throws IOException {
        String said = fails(write("A.java", source));
        assertTrue(said.contains(expected), said);
    }

    @Test
    void theLineIsTheErrors() throws IOException {
        assertTrue(fails(write("A.java", "\n\npublic class A {\n    int x = y;\n}\n")).startsWith(":4: "));
    }

    @Test
    void rewardsThatCannotBeMade() throws IOException {
        String hidden = fails(write("A.java", REWARD.formatted("abstract class A", "1")));
        assertTrue(hidden.contains("expected a public class"), hidden);
        String needs = fails(write("A.java", REWARD.formatted("class A", "1").replace("{\n    public double",
                "{\n    public A(int n) {}\n    public double")));
        assertTrue(needs.contains("without arguments"), needs);
        String failing = fails(write("A.java", REWARD.formatted("class A", "1").replace("{\n    public double",
                "{\n    public A() { throw new IllegalStateException(\"no\\nluck\"); }\n    public double")));
        assertTrue(failing.contains("constructor of A failed: IllegalStateException: no luck (A.java:2)"), failing);
        String unborn = fails(write("A.java", REWARD.formatted("class A", "1").replace("{\n    public double",
                "{\n    static final int X = Integer.parseInt(\"x\");\n    public double")));
        assertTrue(unborn.contains("A cannot be loaded: NumberFormatException"), unborn);
    }

    @Test
    void filesThatAreNone() throws IOException {
        assertThrows(NoSuchFileException.class, () -> Rewards.open(folder.resolve("None.java").toString()));
        assertThrows(NoSuchFileException.class,
                () -> Rewards.open(Files.createDirectory(folder.resolve("Folder.java")).toString()));
        Path file = folder.resolve("Latin.java");
        Files.write(file, new byte[] {'/', '/', (byte) 0xe9, '\n'});
        assertEquals(": is not UTF-8", fails(file));
    }

    @Test
    void aFailureNamesThePlaceInTheFile() throws IOException {
        Path file = write("Bad.java", REWARD.formatted("class Bad", "Integer.parseInt(s.completion())"));
        try (var panel = new RewardPanel(List.of(new Weighted(Rewards.open(file.toString()), 1)))) {
            var verdict = panel.judge(Samples.completions("4", "x", "5"));
            assertArrayEquals(new double[] {4, Double.NaN, 5}, verdict.total());
            assertEquals(Map.of("Bad", 1L), verdict.failures());
            String said = panel.firstFailures().get("Bad");
            assertTrue(said.startsWith("NumberFormatException") && said.endsWith("(Bad.java:3)"), said);
        }
    }

    /// A jar of what a source compiles to.
    private Path jar(String name, String source) throws IOException {
        Path jar = folder.resolve(name);
        var compiled = SourceFile.compile(write("source.java", source), Optional.empty());
        try (OutputStream out = Files.newOutputStream(jar); var zip = new JarOutputStream(out)) {
            for (var c : compiled.classes().entrySet()) {
                zip.putNextEntry(new JarEntry(c.getKey().replace('.', '/') + ".class"));
                zip.write(c.getValue());
                zip.closeEntry();
            }
            zip.putNextEntry(new JarEntry("com/acme/Broken.class"));
            zip.write(new byte[] {1, 2, 3});
        }
        return jar;
    }

    private Path acme() throws IOException {
        return jar("acme.jar", "package com.acme;\n" + REWARD.formatted("class Three", "Helper.THREE")
                + REWARD.formatted("class Loader", """
                        Thread.currentThread().getContextClassLoader() == Loader.class.getClassLoader() ? 1 : 0""")
                + "class Helper { static final double THREE = Double.valueOf(3); }\n"
                + "public class NoReward {}\n"
                + REWARD.formatted("class Picky", "1").replace("{\n    public double",
                        "{\n    private Picky() {}\n    public double"));
    }

    @Test
    void aClassFromAJar() throws IOException {
        Path jar = acme();
        RewardFunction f = Rewards.open("com.acme.Three", Optional.of(jar));
        assertEquals("Three", f.name());
        assertArrayEquals(new double[] {3, 3, 3}, judge(f));
        f.close();
        ClassLoader before = Thread.currentThread().getContextClassLoader();
        RewardFunction loader = Rewards.open("com.acme.Loader", Optional.of(jar));
        assertArrayEquals(new double[] {1, 1, 1}, judge(loader));
        assertSame(before, Thread.currentThread().getContextClassLoader());
        loader.close();
    }

    @Test
    void aSourceFileMayUseTheJar() throws IOException {
        Path jar = acme();
        Path file = write("Mine.java", "public class Mine extends com.acme.Three {}");
        RewardFunction f = Rewards.open(file.toString(), Optional.of(jar));
        assertArrayEquals(new double[] {3, 3, 3}, judge(f));
        f.close();
        assertTrue(fails(file).contains("com.acme"));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "com.acme.Missing|no class com.acme.Missing",
        "Three|no class Three",
        "com.acme.three|no class com.acme.three",
        "com.acme.NoReward|does not implement dev.deckle.reward.RewardFunction",
        "com.acme.Helper|does not implement",
        "com.acme.Picky|public constructor without arguments",
        "com.acme.Broken|com.acme.Broken cannot be loaded: ClassFormatError",
    })
    void classesThatDoNotLoad(String name, String expected) throws IOException {
        Path jar = acme();
        var e = assertThrows(IOException.class, () -> Rewards.open(name, Optional.of(jar)));
        assertTrue(e.getMessage().startsWith(jar.toString()) && e.getMessage().contains(expected), e.getMessage());
        assertEquals(1, e.getMessage().lines().count());
    }

    @Test
    void jarsThatAreNone() throws IOException {
        assertThrows(NoSuchFileException.class,
                () -> Rewards.open("com.acme.Three", Optional.of(folder.resolve("none.jar"))));
        Path text = write("text.jar", "no jar");
        var e = assertThrows(IOException.class, () -> Rewards.open("com.acme.Three", Optional.of(text)));
        assertTrue(e.getMessage().startsWith(text + ": expected a jar"), e.getMessage());
        e = assertThrows(IOException.class, () -> Rewards.open("com.acme.Three"));
        assertTrue(e.getMessage().contains("no class com.acme.Three"), e.getMessage());
    }

    @Test
    void theProgramsOwnClassesNeedNoJar() throws IOException {
        RewardFunction f = Rewards.open(UserClassTest.Own.class.getName().replace('$', '.').replace(".Own", "$Own"));
        assertArrayEquals(new double[] {0, 0, 0}, judge(f));
        f.close();
    }

    public static final class Own implements RewardFunction {
        @Override
        public double[] rewards(List<Sample> samples) {
            return new double[samples.size()];
        }
    }
}
