package dev.deckle.synth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.reward.RewardPanel;
import dev.deckle.reward.Rewards;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Whole runs with authors that write what the test says: what is kept, how records read, and that nothing is lost.
class SynthesisTest {
    @TempDir
    private Path folder;

    private Path data;
    private Path out;

    @BeforeEach
    void files() throws IOException {
        data = folder.resolve("data.jsonl");
        out = folder.resolve("out.jsonl");
        data("{\"prompt\":\"1+1=\",\"answer\":\"2\",\"level\":3,\"text\":\"x\"}", "", "{\"prompt\":\"2+2=\"}");
    }

    private void data(String... lines) throws IOException {
        Files.write(data, List.of(lines));
    }

    private static String thought(String answer) {
        return "<think>\nhm\n</think>\n" + answer;
    }

    private static Forward forward(Author author, int samples, Keep keep) {
        return new Forward(author, samples, keep, "sys", new JsonObject());
    }

    private Tally run(Plan plan) throws IOException {
        return Synthesis.run(new Synthesis.Options(data, out, Optional.empty(), 7), plan, _ -> {});
    }

    private List<JsonObject> made() throws IOException {
        return Files.readAllLines(out).stream().map(l -> JsonParser.parseString(l).getAsJsonObject()).toList();
    }

    private String refusal(Plan plan) {
        return assertThrows(IOException.class, () -> run(plan)).getMessage().replace(folder + "/", "");
    }

    @Test
    void recordsAreWhatAlignReads() throws IOException {
        run(forward(Scripted.of(thought("2")), 1, new Keep.All()));
        assertEquals("{\"prompt\":\"1+1=\",\"completion\":\"<think>\\nhm\\n</think>\\n2\",\"answer\":\"2\",\"level\":3,"
                + "\"provenance\":{\"mode\":\"forward\",\"model\":\"scripted\",\"seed\":7,\"line\":1,\"sample\":0}}\n"
                + "{\"prompt\":\"2+2=\",\"completion\":\"<think>\\nhm\\n</think>\\n2\",\"provenance\":{\"mode\":"
                + "\"forward\",\"model\":\"scripted\",\"seed\":7,\"line\":3,\"sample\":0}}\n", Files.readString(out));
        Files.delete(out);
        Files.delete(Synthesis.journal(out));
        Scripted chat = new Scripted(true, (ask, i, seed) -> new Author.Text(thought("4"), true));
        run(forward(chat, 1, new Keep.All()));
        assertEquals("[{\"role\":\"user\",\"content\":\"1+1=\"},{\"role\":\"assistant\",\"content\":"
                + "\"<think>\\nhm\\n</think>\\n4\"}]", made().getFirst().get("messages").toString());
        assertFalse(made().getFirst().has("prompt"));
        assertEquals(new Author.Ask("sys", "1+1=", "1+1=<think>\n"), chat.asked.getFirst());
    }

    @Test
    void whatIsNoReasoningIsCounted() throws IOException {
        List<Author.Text> texts = List.of(new Author.Text(thought("5"), false), new Author.Text("5", true),
                new Author.Text("<think>hm</think>", true), new Author.Text("<think></think>5", true),
                new Author.Text("so <think>hm</think>5", true), new Author.Text("<think>a</think>b</think>5", true),
                new Author.Text(" <think> hm</think> 5 ", true), new Author.Text("<think>HM</think>5", true));
        Tally tally = run(forward(new Scripted(false, (ask, i, seed) -> texts.get(i)), 8, new Keep.All()));
        assertEquals(Map.of("rows", 2L, "samples", 16L, "cut off", 2L, "malformed", 10L, "records", 2L, "duplicates",
                2L), tally.counts());
        assertEquals(thought("5"), made().getFirst().get("completion").getAsString());
    }

    @Test
    void rewardsReject() throws IOException {
        try (var panel = new RewardPanel(List.of(
                new RewardPanel.Weighted(Rewards.open("arithmetic"), 1)))) {
            data("{\"prompt\":\"1+1=\"}", "{\"prompt\":\"2+2=\"}", "{\"prompt\":\"hello\"}");
            Tally tally =
                    run(forward(Scripted.of(thought("2"), thought("3"), thought("4")), 3, new Keep.Reward(panel, 1)));
            assertEquals(List.of(thought("2"), thought("4")),
                    made().stream().map(o -> o.get("completion").getAsString()).toList());
            assertEquals(
                    "{\"mode\":\"forward\",\"model\":\"scripted\",\"seed\":7,\"line\":2,\"sample\":2,\"reward\":1.0}",
                    made().get(1).get("provenance").toString());
            assertEquals(4, tally.count("below the least reward"));
            assertEquals(3, tally.count("without a reward"));
        }
    }

    @Test
    void theMajorityDecides() throws IOException {
        String other = "<think>\nother\n</think>\n<answer> YES\u00a0</answer>";
        Tally tally = run(forward(Scripted.of(thought("no"), thought("Yes"), "oops", other), 4, new Keep.Majority()));
        assertEquals(List.of(thought("Yes"), "<think>\nother\n</think>\n<answer> YES\u00a0</answer>"),
                made().subList(0, 2).stream().map(o -> o.get("completion").getAsString()).toList());
        assertEquals(2, tally.count("outvoted"));
        // two against two, and one of four, are no majority; one of one is
        assertEquals(0, majority(4, "a", "b", "b", "a"));
        assertEquals(0, majority(4, "a", "b", "c", "d"));
        assertEquals(3, majority(5, "a", "b", "a", "c", "a"));
        assertEquals(1, majority(1, "a"));
    }

    private int majority(int asked, String... answers) throws IOException {
        List<Keep.Candidate> candidates = Arrays.stream(answers)
                .map(a -> new Keep.Candidate(0, new Reasoned("hm", a))).toList();
        return new Keep.Majority().of(null, candidates, asked, _ -> new int[0], new Tally()).size();
    }

    // ---- resuming

    /// An author that fails after so many calls stands for a kill at that moment.
    private static Scripted failingAfter(int calls) {
        int[] made = {0};
        return new Scripted(false, (ask, i, seed) -> {
            if (i == 0 && made[0]++ == calls) {
                throw new IOException("gone");
            }
            return new Author.Text(thought(ask.user() + " " + seed + " " + i), true);
        });
    }

    @Test
    void aKilledRunGoesOnWhereItWas() throws IOException {
        data("{\"prompt\":\"a\"}", "{\"prompt\":\"b\"}", "{\"prompt\":\"c\"}", "{\"prompt\":\"a\"}");
        Tally undisturbed = run(forward(failingAfter(99), 2, new Keep.All()));
        assertEquals(6, undisturbed.count("records"));
        assertEquals(1, undisturbed.count("repeated rows"));
        String whole = Files.readString(out);
        String journal = Files.readString(Synthesis.journal(out));
        // at every byte of the records and of the journal, in any order in which a kill can leave them
        for (int cut = 0; cut <= whole.length(); cut += 37) {
            for (int of = 1; of <= journal.length(); of += 41) {
                Files.writeString(out, whole.substring(0, cut));
                Files.writeString(Synthesis.journal(out), journal.substring(0, of));
                boolean possible = journal.substring(0, of).split("\"done\"", -1).length - 1 <= whole.substring(0, cut)
                        .chars().filter(c -> c == '\n').count() / 2;
                if (possible) {
                    run(forward(failingAfter(99), 2, new Keep.All()));
                    assertEquals(whole, Files.readString(out), cut + " " + of);
                    assertEquals(journal, Files.readString(Synthesis.journal(out)), cut + " " + of);
                }
            }
        }
    }

    @Test
    void rowsThatAreDoneAreNotDrawnAgainEvenIfNothingWasKept() throws IOException {
        Scripted none = Scripted.of("no thoughts");
        assertEquals(0, run(forward(none, 2, new Keep.All())).count("records"));
        assertEquals(2, none.asked.size());
        data("{\"prompt\":\"2+2=\"}", "{\"prompt\":\"new\"}");
        Tally tally = run(forward(none, 2, new Keep.All()));
        assertEquals(3, none.asked.size());
        assertEquals(1, tally.count("rows done before"));
    }

    @Test
    void anEndpointThatFailsLosesNothing() throws IOException {
        data("{\"prompt\":\"a\"}", "{\"prompt\":\"b\"}");
        boolean[] works = {false};
        try (Server server = new Server((x, request, n) -> {
            long seed = request.get("seed").getAsLong();
            boolean second = Server.user(request).equals("b");
            if (second && seed % 2 == 0 && !works[0]) {
                Server.send(x, 503, "");
            } else {
                Server.say(x, thought(Server.user(request) + seed));
            }
        })) {
            try (Endpoint e = server.endpoint(1)) {
                assertTrue(refusal(forward(e, 4, new Keep.All())).endsWith("answers 503, after 2 tries"));
                assertEquals(4, made().size());
            }
            works[0] = true;
            int before = server.requests.size();
            try (Endpoint e = server.endpoint(1)) {
                assertEquals(4, run(forward(e, 4, new Keep.All())).count("records"));
            }
            assertEquals(8, made().size());
            assertEquals(2, server.requests.size() - before); // the other two of the second row were kept
        }
    }

    @Test
    void otherSettingsAreAnotherRun() throws IOException {
        JsonObject four = JsonParser.parseString("{\"samples\":4}").getAsJsonObject();
        JsonObject five = JsonParser.parseString("{\"samples\":5}").getAsJsonObject();
        run(new Forward(Scripted.of("x"), 4, new Keep.All(), "", four));
        assertEquals("out.jsonl.journal: was begun with samples 4, not 5: give the same, or another --out",
                refusal(new Forward(Scripted.of("x"), 5, new Keep.All(), "", five)));
        assertEquals("out.jsonl.journal: was begun with mode \"forward\", not \"rationalise\": give the same, or "
                + "another --out", refusal(new Rationalise(Scripted.of("x"), 4, four)));
    }

    @Test
    void recordsThatAreGoneAreMissed() throws IOException {
        run(forward(Scripted.of(thought("2")), 1, new Keep.All()));
        Files.delete(out);
        assertTrue(refusal(forward(Scripted.of("x"), 1, new Keep.All())).startsWith("out.jsonl: is gone, and "));
        assertFalse(Files.exists(out));
    }

    /// A wrong --out costs nobody's file its last line.
    @Test
    void filesOfOthersStayAsTheyAre() throws IOException {
        Files.writeString(out, "a poem\nwithout an end");
        assertTrue(refusal(forward(Scripted.of("x"), 1, new Keep.All())).startsWith("out.jsonl: exists already"));
        assertEquals("a poem\nwithout an end", Files.readString(out));
        out = data;
        assertTrue(refusal(forward(Scripted.of("x"), 1, new Keep.All())).contains("is the data itself"));
    }

    @Test
    void badRowsAreNamed() throws IOException {
        Plan plan = forward(Scripted.of(thought("2")), 1, new Keep.All());
        data("{\"prompt\":\"a\"}", "{\"question\":\"b\"}");
        assertEquals("data.jsonl, line 2: has the keys question, expected prompt", refusal(plan));
        data("{\"prompt\":3}");
        assertEquals("data.jsonl, line 1: prompt is no text, or a blank one", refusal(plan));
        data("nonsense");
        assertTrue(refusal(plan).startsWith("data.jsonl, line 1: "), refusal(plan));
        data();
        assertTrue(refusal(plan).startsWith("data.jsonl: holds no rows"));
        assertFalse(Files.exists(out));
        data("{\"prompt\":\"a\"}");
        out = folder.resolve("nowhere/out.jsonl");
        assertEquals("nowhere/out.jsonl.journal: there is no folder to put it into", refusal(plan));
    }

    @Test
    void halfALineIsCutOff() throws IOException {
        Files.writeString(out, "{\"a\":1}\n{\"b\":\"a long one that was never ended");
        try (LineFile lines = LineFile.open(out)) {
            assertEquals(1, lines.lines().size());
            assertEquals("{\"a\":1}\n", Files.readString(out));
            lines.append(new JsonObject());
        }
        assertEquals("{\"a\":1}\n{}\n", Files.readString(out));
    }

    @Test
    void twoCannotWriteOneFile() throws IOException {
        try (LineFile _ = LineFile.open(Synthesis.journal(out))) {
            assertEquals("out.jsonl.journal: is written already",
                    refusal(forward(Scripted.of("x"), 1, new Keep.All())));
        }
    }

    // ---- the other ways

    @Test
    void theHintIsNotInTheRecord() throws IOException {
        data("{\"prompt\":\"1+1=\",\"answer\":\"Two\"}");
        Scripted author = Scripted.of(thought("two"), thought("three"), "<think>The hint says so</think>two");
        Tally tally = run(new Rationalise(author, 3, new JsonObject()));
        assertEquals(Map.of("rows", 1L, "samples", 3L, "other answers", 1L, "hint mentioned", 1L, "records", 1L),
                tally.counts());
        assertTrue(author.asked.getFirst().start().contains("the answer is Two"));
        assertTrue(author.asked.getFirst().user().contains("the answer is Two"));
        assertEquals("1+1=", made().getFirst().get("prompt").getAsString());
        assertFalse(Files.readString(out).contains("int: the answer"));
    }

    @Test
    void jokesBecomeRecords() throws IOException {
        String joke = "<buildup>A crane lifts.<assumption>a machine<connector>crane<reinterpretation>a bird"
                + "<punchline>It wanted fish.";
        JsonObject row = new JsonObject();
        row.addProperty("prompt", "cranes");
        row.addProperty("completion", joke);
        data(row.toString(), "{\"prompt\":\"cranes\",\"completion\":\"no\"}");
        Tally tally = run(new Structure(Optional.empty(), 1, new JsonObject()));
        assertEquals(1, tally.count("rejected: no part of a joke"));
        JsonObject o = made().getFirst();
        assertEquals("<think>\nBuild-up: A crane lifts.\nAssumption: a machine\nConnector: crane\n"
                + "Reinterpretation: a bird\n</think>\nA crane lifts. It wanted fish.",
                o.get("completion").getAsString());
        assertEquals("a bird", o.getAsJsonObject("joke").get("reinterpretation").getAsString());
        Files.delete(out);
        Files.delete(Synthesis.journal(out));
        Scripted author = Scripted.of("no", joke);
        run(new Structure(Optional.of(author), 2, new JsonObject()));
        assertEquals(Joke.template("cranes"), author.asked.getFirst().user());
        assertEquals(1, made().getFirst().getAsJsonObject("provenance").get("sample").getAsInt());
    }

    @Test
    void pairsAreOfTheBestAndTheWorst() throws IOException {
        data("{\"prompt\":\"a\",\"completions\":[\"bb\",\"a\",\"dddd\",\"DDDD\",\"ccc\",\" \"]}",
                "{\"prompt\":\"b\",\"completions\":[\"yy\",\"xx\"]}");
        try (var panel = new RewardPanel(List.of(new RewardPanel.Weighted(
                samples -> samples.stream().mapToDouble(s -> -s.completion().length()).toArray(), 1)))) {
            Judge judge = new Judge.Rewarding(panel, "short");
            Tally tally = run(new Preferences(Optional.empty(), 4, judge, Preferences.Pairs.EXTREMES,
                    new JsonObject()));
            assertEquals("[{\"prompt\":\"a\",\"chosen\":\"a\",\"rejected\":\"dddd\",\"provenance\":{\"mode\":"
                    + "\"preferences\",\"seed\":7,\"line\":1,\"sample\":1,\"rejected_sample\":2,\"judge\":\"short\","
                    + "\"score_chosen\":-1.0,\"score_rejected\":-4.0}}]", made().toString());
            assertEquals(1, tally.count("ties"));
            assertEquals(1, tally.count("equal samples"));
            Files.delete(out);
            Files.delete(Synthesis.journal(out));
            run(new Preferences(Optional.of(new Scripted(true, (ask, i, seed) -> new Author.Text("x".repeat(i + 1),
                    i < 3))), 4, judge, Preferences.Pairs.ALL, new JsonObject()));
            assertEquals(List.of("x>xx", "x>xxx", "xx>xxx"), made().subList(0, 3).stream().map(
                    o -> said(o, "chosen") + ">" + said(o, "rejected")).toList());
            assertEquals("a", said(made().getFirst(), "prompt"));
        }
    }

    private static String said(JsonObject o, String key) {
        return o.getAsJsonArray(key).get(0).getAsJsonObject().get("content").getAsString();
    }

    @Test
    void aModelGivesMarks() throws IOException {
        data("{\"prompt\":\"a\",\"completions\":[\"good\",\"bad\",\"odd\"]}");
        Scripted judge = new Scripted(true, (ask, i, seed) -> new Author.Text(ask.user().contains("good")
                ? "<think>2</think>Well.\nMark: 8.5/10"
                : ask.user().contains("bad") ? "3" : "who knows", true));
        Tally tally = run(new Preferences(Optional.empty(), 4, new Judge.Asking(judge, "how funny"),
                Preferences.Pairs.ALL, new JsonObject()));
        JsonObject from = made().getFirst().getAsJsonObject("provenance");
        assertEquals("good", made().getFirst().get("chosen").getAsString());
        assertEquals(8.5, from.get("score_chosen").getAsDouble());
        assertEquals(3, from.get("score_rejected").getAsDouble());
        assertEquals("scripted", from.get("judge").getAsString());
        assertEquals(1, tally.count("without a score"));
        assertTrue(judge.asked.getFirst().user().contains("how funny"));
        for (String no : List.of("", "11", "-1", "no")) {
            assertTrue(Double.isNaN(Judge.mark(no)), no);
        }
        assertEquals(10, Judge.mark("from 3 to 10"));
    }

    @Test
    void recordsAreUtf8() throws IOException {
        data("{\"prompt\":\"\u5927\u6a21\u578b\"}");
        run(forward(Scripted.of(thought("\u597d")), 1, new Keep.All()));
        assertTrue(new String(Files.readAllBytes(out), StandardCharsets.UTF_8).contains("\u5927\u6a21\u578b"));
    }
}
