package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A user's rewards in a JVM with the module path of the launcher, where the jars are modules and few of the JDK's are
/// there.
class RewardsIT {
    private static final Path APP = Path.of("target/app").toAbsolutePath();
    private static final String SOURCE = """
            import dev.deckle.reward.RewardFunction;
            import dev.deckle.tokenizer.Tokenizer;
            import com.google.gson.JsonObject;
            import java.util.List;

            public class %s implements RewardFunction {
                private final Object sees = List.of(Tokenizer.class, JsonObject.class, java.net.http.HttpClient.class);

                @Override
                public double[] rewards(List<Sample> samples) {
                    return samples.stream().mapToDouble(s -> s.completionIds().length).toArray();
                }
            }
            """;

    @TempDir
    private Path folder;

    private static String modulePath() throws IOException {
        try (Stream<Path> all = Files.list(APP)) {
            return all.map(Path::toString).filter(p -> p.endsWith(".jar")).collect(
                    Collectors.joining(File.pathSeparator));
        }
    }

    private String probe(Object... args) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Djava.awt.headless=true",
                "--enable-native-access=dev.deckle.tensor,dev.deckle.x86,dev.deckle.app",
                "-p", modulePath(), "--patch-module", "dev.deckle.app=" + Path.of("target/test-classes"),
                "-m", "dev.deckle.app/dev.deckle.app.RewardProbe"));
        for (Object arg : args) {
            command.add(arg.toString());
        }
        Process p = new ProcessBuilder(command).redirectErrorStream(true).start();
        String out = new String(p.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, p.waitFor(), out);
        return out.strip();
    }

    @Test
    void aSourceFile() throws Exception {
        assertEquals("[1.0, 2.0, 3.0]{}", probe(Files.writeString(folder.resolve("Mine.java"),
                SOURCE.formatted("Mine"))));
    }

    @Test
    void aModuleThatIsNotThereIsAnErrorOfTheCompiler() throws Exception {
        Path file = Files.writeString(folder.resolve("Mine.java"),
                SOURCE.formatted("Mine").replace("private", "com.sun.net.httpserver.HttpServer s; private"));
        String said = probe(file);
        assertTrue(said.startsWith(file + ":7: ") && said.contains("jdk.httpserver"), said);
        assertEquals(1, said.lines().count(), said);
    }

    @Test
    void aClassFromAJar() throws Exception {
        Path source = Files.writeString(folder.resolve("Other.java"), SOURCE.formatted("Other"));
        Path classes = Files.createDirectory(folder.resolve("classes"));
        ToolProvider javac = ToolProvider.findFirst("javac").orElseThrow();
        assertEquals(0, javac.run(System.out, System.err, "-p", modulePath(), "--add-modules", "dev.deckle.align",
                "-d", classes.toString(), source.toString()));
        Path jar = folder.resolve("other.jar");
        assertEquals(0, ToolProvider.findFirst("jar").orElseThrow().run(System.out, System.err,
                "-c", "-f", jar.toString(), "-C", classes.toString(), "."));
        assertEquals("[1.0, 2.0, 3.0]{}", probe("Other", jar));
        assertEquals("[1.0, 2.0, 3.0]{}", probe("Other", classes));
        assertEquals(jar + ": no class Another", probe("Another", jar));
    }

    @Test
    void aCommandAndABuiltInOne() throws Exception {
        assertEquals("[0.5, 0.5, 0.5]{}",
                probe("command:while read -r line; do echo '{\"reward\": 0.5}'; done"));
        assertEquals("[1.0, 0.0, 0.0]{}", probe("length:1"));
    }
}
