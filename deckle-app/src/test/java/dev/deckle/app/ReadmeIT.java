package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Runs what the README tells its reader to type, with the launcher, as built: in the order of the page and in one
/// empty folder, so that a block may use what the one before it made.
///
/// A block is run if it is fenced as `sh` and the line before the fence is `<!-- run -->`. What would take long can be
/// made small there: `<!-- run: train --steps 2 --layers 1 | generate --max-new-tokens 4 -->` sets these options in
/// each line of that verb, in place of what the page says. The page shows neither.
class ReadmeIT {
    private static final Path ROOT = Path.of("").toAbsolutePath().getParent();
    private static final Pattern BLOCK =
            Pattern.compile("^<!-- run(?:: (.*?))? -->\\n+```sh\\n(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL);

    @Test
    void everyCommandOfTheReadmeWorks(@TempDir Path folder) throws Exception {
        Files.createSymbolicLink(folder.resolve("deckle"), ROOT.resolve("deckle"));
        List<String> scripts = scripts(Files.readString(ROOT.resolve("README.md")));
        assertFalse(scripts.isEmpty(), "no block of README.md is marked by <!-- run -->");
        for (String script : scripts) {
            Path said = folder.resolve("said");
            Process process = new ProcessBuilder("sh", "-eu", "-c", script)
                    .directory(folder.toFile())
                    .redirectErrorStream(true)
                    .redirectOutput(said.toFile())
                    .start();
            int exit = process.waitFor();
            String output = Files.readString(said);
            assertEquals(0, exit, script + output);
            assertFalse(output.contains("\tat "), script + output);
            assertFalse(output.contains("deckle: the sources are newer"), "built again: " + output);
        }
    }

    /// The blocks to run, with their options set.
    private static List<String> scripts(String page) {
        List<String> scripts = new ArrayList<>();
        for (Matcher block = BLOCK.matcher(page); block.find();) {
            Map<String, String> options = new LinkedHashMap<>();
            if (block.group(1) != null) {
                for (String verb : block.group(1).split("\\|")) {
                    String[] parts = verb.strip().split(" ", 2);
                    options.put(parts[0], parts[1]);
                }
            }
            var script = new StringBuilder();
            block.group(2).lines().forEach(line -> script.append(small(line, options)).append('\n'));
            scripts.add(script.toString());
        }
        return scripts;
    }

    private static String small(String line, Map<String, String> options) {
        Matcher command = Pattern.compile("^\\./deckle (\\w+)(.*?)( +#.*)?$").matcher(line);
        if (!command.find() || !options.containsKey(command.group(1))) {
            return line;
        }
        String args = command.group(2);
        String set = options.get(command.group(1));
        for (String option : set.split(" ")) {
            if (option.startsWith("--")) {
                args = args.replaceAll(" " + option + " \\S+", "");
            }
        }
        return "./deckle " + command.group(1) + args + " " + set;
    }

    @Test
    void optionsOfTheMarkerReplaceThoseOfThePage() {
        String page =
                """
                <!-- run: train --steps 2 --layers 1 | generate --max-new-tokens 4 -->
                ```sh
                ./deckle train --minutes 4 --steps 900 --out a   # four minutes
                ./deckle generate --model a --prompt "b c"
                ./deckle doctor
                ```
                ```sh
                not run
                ```
                <!-- run -->

                ```sh
                ./deckle --version
                ```
                """;
        assertEquals(
                List.of(
                        """
                        ./deckle train --minutes 4 --out a --steps 2 --layers 1
                        ./deckle generate --model a --prompt "b c" --max-new-tokens 4
                        ./deckle doctor
                        """,
                        "./deckle --version\n"),
                scripts(page));
    }
}
