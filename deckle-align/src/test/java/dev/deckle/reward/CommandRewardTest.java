package dev.deckle.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.reward.RewardFunction.Sample;
import dev.deckle.reward.RewardPanel.Verdict;
import dev.deckle.reward.RewardPanel.Weighted;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(120)
class CommandRewardTest {
    private static final double NONE = Double.NaN;
    private static final List<Sample> THREE = Samples.completions("a", "bb", "ccc");
    /// Answers its batch of three; S counts its starts, so that a test can let the second one behave.
    private static final String GOOD = "while read -r l; do echo '{\"reward\": 1}'; done";

    @TempDir
    private Path folder;

    private static RewardPanel panel(String command, Duration limit) throws IOException {
        return new RewardPanel(List.of(new Weighted(Rewards.open("command:" + command), 1)), limit);
    }

    private static RewardPanel panel(String command) throws IOException {
        return panel(command, Duration.ofSeconds(60));
    }

    @Test
    void linesInAndLinesOutInOrder() throws IOException {
        Path log = folder.resolve("log");
        String command = "n=0; while IFS= read -r l; do printf '%s\\n' \"$l\" >>" + log
                + "; n=$((n+1)); echo \"{\\\"reward\\\": $n}\"; done";
        try (var panel = panel(command)) {
            Sample odd = Samples.of("é\n\"p\"", "\u2028 </s> \\ \ud83d\ude00",
                    "{\"answer\": [1, {\"a\": null}], \"prompt\": \"column\", \"none\": null}");
            assertArrayEquals(new double[] {1, 2}, panel.judge(List.of(odd, THREE.get(1))).total());
            assertArrayEquals(new double[] {3, 4, 5}, panel.judge(THREE).total()); // the same process
            List<String> lines = Files.readAllLines(log);
            assertEquals(5, lines.size());
            JsonObject first = JsonParser.parseString(lines.getFirst()).getAsJsonObject();
            assertEquals(List.of("prompt", "completion", "prompt_ids", "completion_ids", "answer", "none"),
                    List.copyOf(first.keySet()));
            assertEquals(odd.prompt(), first.get("prompt").getAsString());
            assertEquals(odd.completion(), first.get("completion").getAsString());
            assertEquals("[1,2]", first.get("prompt_ids").toString());
            assertEquals("[3,4,5]", first.get("completion_ids").toString());
            assertEquals("[1,{\"a\":null}]", first.get("answer").toString());
            assertTrue(first.get("none").isJsonNull());
            assertEquals(Map.of(), panel.firstFailures());
        }
    }

    /// More than any pipe holds, both ways: neither side may wait for the other for ever.
    @Test
    void aBatchThatNoPipeHolds() throws IOException {
        String long100k = "x".repeat(100_000);
        List<Sample> many = IntStream.range(0, 50).mapToObj(i -> Samples.of("p" + i, long100k)).toList();
        try (var panel =
                panel("while read -r l; do echo \"{\\\"reward\\\": 2, \\\"echo\\\": \\\"$(printf %9000s)\\\"}\";"
                        + " done")) {
            Verdict v = panel.judge(many);
            assertEquals(Map.of(), panel.firstFailures());
            assertEquals(100, java.util.Arrays.stream(v.total()).sum());
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "{\"reward\": 0.5}|0.5",
        "  {\"x\": [1], \"reward\":-2e3} |-2000",
        "{\"reward\": null}|NaN",
        "{\"reward\": NaN}|NaN",
    })
    void answers(String line, double reward) throws IOException {
        try (var panel = panel("while read -r l; do echo '" + line + "'; done")) {
            Verdict v = panel.judge(THREE);
            assertArrayEquals(new double[] {reward, reward, reward}, v.total());
            assertEquals(Map.of(), v.failures());
        }
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "{\"reward\": \"0.5\"}|expected a number or null in \"reward\"",
        "{\"reward\": [1]}|expected a number or null in \"reward\"",
        "{\"reward\": true}|expected a number or null in \"reward\"",
        "{\"error\": \"x\"}|expected a number or null in \"reward\"",
        "{}|expected a number or null in \"reward\"",
        "{\"reward\": Infinity}|a reward of Infinity",
        "{\"reward\": 1e999}|a reward of Infinity",
    })
    void anAnswerWithoutARewardCostsItsSampleAlone(String line, String said) throws IOException {
        try (var panel = panel("read -r l; echo '" + line + "'; " + GOOD)) {
            Verdict v = panel.judge(THREE);
            assertArrayEquals(new double[] {NONE, 1, 1}, v.total());
            assertEquals(Map.of("command", 1L), v.failures());
            assertTrue(panel.firstFailures().get("command").contains(said), panel.firstFailures().toString());
            assertArrayEquals(new double[] {1, 1, 1}, panel.judge(THREE).total());
        }
    }

    /// Misbehaves when started for the first time, in the middle of a batch, and is good from then on.
    private String firstTime(String misbehaviour) {
        Path mark = folder.resolve("mark");
        return "if [ ! -e " + mark + " ]; then touch " + mark + "; read -r l; echo '{\"reward\": 5}'; read -r l; "
                + misbehaviour + "; fi; " + GOOD;
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "exit 3|it ended with exit code 3",
        "echo Traceback >&2; echo 'no luck' >&2; exit 1|it ended with exit code 1: no luck",
        "kill -9 $$|it ended with exit code 137",
        "exec >&-; sleep 100|it closed its output",
        "echo loading the judge|not loading the judge",
        "echo|expected {\"reward\": NUMBER or null}, not",
        "echo '[1]'|not [1]",
        "echo 0.5|not 0.5",
        "echo '{\"reward\": 1} {\"reward\": 1}'|expected {\"reward\"",
        "echo '{\"reward\": 1'|expected {\"reward\"",
        "printf '\\377\\000\\033[31m\\n'|\\u0000\\u001b[31m",
        "head -c 3000000 /dev/zero|a line of more than 1048576 bytes",
    })
    void whereItFallsOutOfStepItIsStartedAgain(String misbehaviour, String said) throws IOException {
        try (var panel = panel(firstTime(misbehaviour))) {
            Verdict v = panel.judge(THREE);
            assertArrayEquals(new double[] {5, NONE, NONE}, v.total());
            assertEquals(Map.of("command", 2L), v.failures());
            assertTrue(panel.firstFailures().get("command").contains(said), panel.firstFailures().toString());
            assertArrayEquals(new double[] {1, 1, 1}, panel.judge(THREE).total());
        }
    }

    @Test
    void oneThatIsSilentLosesTheRestOfItsBatch() throws IOException {
        try (var panel = panel(firstTime("echo thinking >&2; sleep 1000"), Duration.ofSeconds(2))) {
            Verdict v = panel.judge(THREE);
            assertArrayEquals(new double[] {5, NONE, NONE}, v.total());
            assertEquals(Map.of("command", 2L), v.failures());
            assertEquals("no answer in time for 2 of 3 samples (does it flush each line?): thinking",
                    panel.firstFailures().get("command"));
            assertArrayEquals(new double[] {1, 1, 1}, panel.judge(THREE).total());
        }
    }

    /// One that floods is noticed at once: it writes more before the batch can be over.
    @Test
    void moreAnswersThanSamplesAreNone() throws IOException {
        try (var panel = panel(firstTime("yes '{\"reward\": 7}'"))) {
            Verdict v = panel.judge(THREE);
            if (v.failures().isEmpty()) { // the fourth line came when the batch was over: the next is clean again
                assertEquals(7, v.total()[2]);
            } else {
                assertArrayEquals(new double[] {NONE, NONE, NONE}, v.total());
                assertEquals("more answers than samples", panel.firstFailures().get("command"));
            }
        }
    }

    /// At once, unless its fourth answer is still on its way when the third is taken, which a busy machine can do.
    @Test
    void oneThatAnswersAheadIsNotBelieved() throws IOException {
        String ahead = "seq 40 | sed 's/.*/{\"reward\": 9}/' | cat; " + GOOD; // in one piece, however slow it is
        RewardFunction f = Rewards.open("command:" + ahead);
        try (var panel = new RewardPanel(List.of(new Weighted(f, 1)))) {
            Verdict v = panel.judge(THREE);
            for (int batch = 1; batch < 10 && v.unjudged() == 0; batch++) {
                v = panel.judge(THREE);
            }
            assertEquals(Map.of("command", 3L), v.failures());
            assertEquals(3, v.unjudged());
        }
    }

    @Test
    void aBatchLargerThanWhatIsReadAhead() throws IOException {
        List<Sample> many = Collections.nCopies(3000, THREE.getFirst());
        try (var panel = panel("while read -r l; do echo '{\"reward\": 1}'; done")) {
            assertEquals(3000, java.util.Arrays.stream(panel.judge(many).total()).sum());
        }
    }

    @Test
    void aCommandThatDoesNotExist() throws IOException {
        try (var panel = panel("no-such-command-here --flag")) {
            for (int batch = 0; batch < 2; batch++) {
                assertEquals(Map.of("command", 3L), panel.judge(THREE).failures());
            }
            String said = panel.firstFailures().get("command");
            assertTrue(said.startsWith("it ended with exit code 127") && said.contains("no-such-command-here"), said);
        }
    }

    @Test
    void oneThatEndsAfterEachBatchIsStartedForTheNext() throws IOException {
        try (var panel = panel("read -r a; read -r b; read -r c; for i in 1 2 3; do echo '{\"reward\": 4}'; done")) {
            for (int batch = 0; batch < 3; batch++) {
                Verdict v = panel.judge(THREE);
                assertTrue(v.unjudged() == 0 || v.unjudged() == 3); // it may be seen to end only when it is asked
            }
        }
    }

    @Test
    void whatItWritesOnStderrIsPassedOn() throws IOException {
        List<String> heard = Collections.synchronizedList(new ArrayList<>());
        RewardFunction f = Rewards.open("command:echo one >&2; echo >&2; printf two >&2; exit 1", Optional.empty(),
                Optional.empty(), heard::add);
        try (var panel = new RewardPanel(List.of(new Weighted(f, 1)))) {
            panel.judge(THREE);
            assertEquals("it ended with exit code 1: two", panel.firstFailures().get("command"));
            assertEquals(List.of("one", "two"), heard);
        }
    }

    @Test
    void closingEndsItAndWhatItStarted() throws IOException, InterruptedException {
        Path pids = folder.resolve("pids");
        RewardPanel panel = panel("echo $$ >" + pids + "; sleep 1000 & echo $! >>" + pids + "; " + GOOD);
        assertArrayEquals(new double[] {1, 1, 1}, panel.judge(THREE).total());
        List<ProcessHandle> processes = Files.readAllLines(pids).stream()
                .flatMap(pid -> ProcessHandle.of(Long.parseLong(pid)).stream())
                .toList();
        assertEquals(2, processes.size());
        panel.close();
        for (ProcessHandle p : processes) {
            while (p.isAlive()) {
                Thread.sleep(5);
            }
            assertFalse(p.isAlive());
        }
    }
}
