package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import dev.deckle.app.Harm.Outcome;
import dev.deckle.app.Harm.Part;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Model folders from strangers: whatever is in one, a verb ends with a result or with one line that names the file,
/// soon, in little memory, with nothing left behind.
///
/// Case `i` of a seed is always the same: a folder of [Strangers], a [Harm], and three calls of the command.
/// `-Ddeckle.fuzz.cases=10000` runs many, `-Ddeckle.fuzz.first=123` begins with that one, `-Ddeckle.fuzz.seed=7` makes
/// others, `-Ddeckle.fuzz.harm=config` does only what is called so.
class StrangersTest {
    private static final int CASES = Integer.getInteger("deckle.fuzz.cases", 100);
    private static final int FIRST = Integer.getInteger("deckle.fuzz.first", 0);
    private static final long SEED = Long.getLong("deckle.fuzz.seed", 1);
    private static final Pattern ONLY = Pattern.compile(System.getProperty("deckle.fuzz.harm", ""));
    private static final int LINE = 400; // characters, the folder's own name not counted
    private static final long MEMORY = 256 << 20; // of a case, in native tensors
    private static final long HANG = 60; // seconds, on a busy machine too

    /// What a line must not show: the inside of the program.
    private static final Pattern INSIDE = Pattern.compile("\\b(java|javax|jdk|sun|dev\\.deckle|com\\.google)\\.\\w"
            + "|picocli|\\w+Exception|\\w+Error\\b|this is a bug|\\bunexpected [A-Z]|out of memory|\\bnull\\b"
            + "|@[0-9a-f]{6,}|Optional\\[");

    private static final Pattern FILE = Pattern.compile("DIR|\\w\\.(json|jinja|safetensors)\\b");

    private static final Map<Part, List<String>> CALLS = new EnumMap<>(Map.of(
            Part.MODEL, List.of("score --ids 5,6,7 --logits --json", "convert --dtype bf16 --out OUT",
                    "generate --ids 5,6 --max-new-tokens 3 --temperature 0", "convert --out OUT",
                    "generate --ids 5,6,7 --max-new-tokens 4 --kv-cache paged --num-beams 2 --json"),
            Part.NUMBERS, List.of("score --ids 5,6,7 --logits --json", "generate --ids 5,6 --max-new-tokens 3"),
            Part.TOKENIZER, List.of("tokenize --text \"the cats\" --json", "tokenize --ids 5,6,7,82",
                    "score --text \"the cats\" --json", "generate --prompt the --max-new-tokens 3"),
            Part.CHAT, List.of("tokenize --messages CHAT --json"),
            Part.GENERATION, List.of("generate --ids 5,6 --max-new-tokens 5 --seed 1 --json",
                    "generate --ids 5,6 --seed 1")));

    /// What a call did.
    private record Result(int exit, String out, String err) {}

    @TempDir
    private Path temporary;

    private final List<String> wrong = new ArrayList<>();
    private final Map<String, Integer> outcomes = new TreeMap<>();
    private final AtomicLong peak = new AtomicLong();

    @Test
    void anyFolderGivesAResultOrOneLine() throws Exception {
        List<Path> folders = Strangers.make(Path.of("src/test/resources/golden/hf"),
                Files.createDirectory(temporary.resolve("models")));
        List<Harm> harms = Stream.of(HarmToWeights.all(), HarmToJson.all(), HarmToFiles.all()).flatMap(List::stream)
                .filter(h -> ONLY.matcher(h.name()).find()).toList();
        Path chat = Files.writeString(temporary.resolve("chat.json"),
                "{\"messages\": [{\"role\": \"user\", \"content\": \"the cats\"}]}");
        long start = System.nanoTime();
        int done = 0;
        Thread meter = Thread.ofPlatform().daemon().start(this::measure);
        try (ExecutorService runner = Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().factory())) {
            for (int i = FIRST; i < FIRST + CASES && wrong.size() < 60; i++, done++) {
                Random random = new Random(SEED * 1_000_003 + i);
                Harm harm = harms.get((int) (i * 61L % harms.size())); // a few cases are of many kinds
                Path from = folders.get(random.nextInt(folders.size()));
                oneCase(i, harm, from, chat, random, runner);
            }
        }
        meter.interrupt();
        System.out.printf("%d folders from strangers, %d kinds of harm, seed %d: %s; %d wrong; %.0f seconds, "
                + "at most %d MB in tensors, %d MB resident%n", done, harms.size(), SEED, outcomes, wrong.size(),
                (System.nanoTime() - start) / 1e9, peak.get() >> 20, resident() >> 10);
        assertEquals("", String.join("\n", wrong));
    }

    private void oneCase(int i, Harm harm, Path from, Path chat, Random random, ExecutorService runner)
            throws Exception {
        Path work = Files.createDirectory(temporary.resolve("case" + i));
        Path folder = work.resolve("model");
        Strangers.copy(from, folder);
        String done = harm.body().spoil(folder, random);
        String before = listing(folder);
        long memory = ModelMemory.allocatedBytes();
        for (int n = 0; n < 3; n++) {
            Part part = n < 2 ? harm.part() : Part.values()[random.nextInt(Part.values().length)];
            List<String> calls = CALLS.get(part);
            String call = calls.get(random.nextInt(calls.size()));
            String what = "case " + i + " " + from.getFileName() + ", " + harm.name() + " " + done + ": " + call + ": ";
            Path out = work.resolve("out");
            Result r;
            try {
                r = run(runner, call, folder, out, chat);
            } catch (TimeoutException _) {
                throw new AssertionError(what + "hangs after " + HANG + " s\n" + stacks());
            }
            String about = judge(harm, part == harm.part(), call, r, folder);
            if (!about.isEmpty()) {
                wrong.add((what + about).replace(folder.toString(), "DIR"));
            }
            outcomes.merge("exit " + r.exit, 1, Integer::sum);
            if (ModelMemory.allocatedBytes() != memory) {
                wrong.add(what + (ModelMemory.allocatedBytes() - memory) + " bytes are not given back");
                memory = ModelMemory.allocatedBytes();
            }
            if (r.exit != 0 && Files.exists(out) || leftover(work)) {
                wrong.add(what + "something is left behind");
            }
            Strangers.delete(out);
        }
        if (!listing(folder).equals(before)) {
            wrong.add("case " + i + ", " + harm.name() + ": the folder was changed");
        }
        if (peak.get() > MEMORY) {
            wrong.add("case " + i + ", " + harm.name() + " " + done + ": " + peak.get() + " bytes of tensors");
            peak.set(0);
        }
        Strangers.delete(work);
    }

    private static Result run(ExecutorService runner, String call, Path folder, Path out, Path chat) throws Exception {
        List<String> args = new ArrayList<>();
        for (String word : call.split(" (?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)")) {
            args.add(word.replace("\"", "").replace("OUT", out.toString()).replace("CHAT", chat.toString()));
        }
        args.addAll(1, List.of("--model", folder.toString()));
        var stdout = new ByteArrayOutputStream();
        var stderr = new ByteArrayOutputStream();
        Future<Integer> exit = runner.submit(
                () -> Deckle.run(new PrintStream(stdout), new PrintStream(stderr), args.toArray(String[]::new)));
        return new Result(exit.get(HANG, TimeUnit.SECONDS), stdout.toString(StandardCharsets.UTF_8),
                stderr.toString(StandardCharsets.UTF_8));
    }

    /// @return what is wrong with a result, nothing if it is right
    private static String judge(Harm harm, boolean concerned, String call, Result r, Path folder) {
        String line = r.err.lines().filter(l -> !l.startsWith("SLOW") && !l.startsWith("written to"))
                .collect(Collectors.joining("\n")).replace(folder.toString(), "DIR");
        boolean refused = concerned && harm.outcome() == Outcome.REFUSED;
        boolean accepted = concerned && harm.outcome() == Outcome.ACCEPTED;
        Map<String, Boolean> wrong = new LinkedHashMap<>();
        if (r.exit == 0) {
            wrong.put("accepted, and printed " + r.out.strip(), refused);
            wrong.put("no JSON: " + r.out, call.contains("--json") && !r.out.lines().allMatch(StrangersTest::isObject));
            wrong.put("a result, and also", !line.isEmpty());
        } else {
            // null may be what the file says
            String words = line.replaceAll("(is|dtype|shape|into|expected) \\S*\\bnull\\b\\S*", "$1")
                    .replaceAll("\"[^\"]*\"|'[^']*'", "");
            wrong.put("exit " + r.exit, r.exit != Deckle.FAILED);
            wrong.put("refused", accepted);
            wrong.put("not one line", line.lines().count() != 1 || !line.startsWith("deckle: "));
            wrong.put("too long", line.length() > LINE);
            wrong.put("names no file", !FILE.matcher(line).find());
            wrong.put("shows the inside", INSIDE.matcher(words).find());
            wrong.put("control characters", line.chars().anyMatch(Character::isISOControl));
            wrong.put("does not say " + harm.told(), refused && !harm.told().matcher(line).find());
        }
        String said = line.substring(0, Math.min(2 * LINE, line.length()));
        return wrong.entrySet().stream().filter(Map.Entry::getValue).map(e -> e.getKey() + ": " + said).findFirst()
                .orElse("");
    }

    private static boolean isObject(String line) {
        return JsonParser.parseString(line).isJsonObject();
    }

    private static boolean leftover(Path work) throws IOException {
        try (Stream<Path> files = Files.list(work)) {
            return files.anyMatch(f -> f.getFileName().toString().contains("partial"));
        }
    }

    private static String listing(Path folder) throws IOException {
        List<String> all = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path f : files.sorted().toList()) {
                all.add(f.getFileName() + " "
                        + Files.getLastModifiedTime(f, LinkOption.NOFOLLOW_LINKS) + " "
                        + Files.readAttributes(f, "size", LinkOption.NOFOLLOW_LINKS));
            }
        }
        return String.join("\n", all);
    }

    private void measure() {
        try {
            while (true) {
                peak.accumulateAndGet(ModelMemory.allocatedBytes() + Workspace.reservedBytes(), Math::max);
                Thread.sleep(1);
            }
        } catch (InterruptedException _) {
            // the end
        }
    }

    private static long resident() throws IOException {
        Path status = Path.of("/proc/self/status");
        return !Files.exists(status) ? 0
                : Files.readAllLines(status).stream().filter(l -> l.startsWith("VmHWM"))
                        .mapToLong(l -> Long.parseLong(l.replaceAll("\\D", ""))).findFirst().orElse(0);
    }

    private static String stacks() {
        return Thread.getAllStackTraces().entrySet().stream().filter(e -> e.getKey().getName().startsWith("Thread"))
                .map(e -> e.getKey().getName() + "\n  " + Stream.of(e.getValue()).limit(40)
                        .map(StackTraceElement::toString).collect(Collectors.joining("\n  ")))
                .collect(Collectors.joining("\n"));
    }

    @Test
    void theJudgeSeesWhatIsWrong() {
        Path dir = Path.of("/a/b");
        Harm harm = Harm.refused("", Part.MODEL, "expected", (_, _) -> "");
        String good = "deckle: /a/b/config.json: vocab_size is -1, expected more\n";
        assertEquals("", judge(harm, true, "score", new Result(1, "", good), dir));
        for (Result bad : List.of(new Result(0, "1", ""), new Result(2, "", good), new Result(1, "", ""),
                new Result(1, "", good + good), new Result(1, "", good.replace("/a/b/config.json", "it")),
                new Result(1, "", good.replace("vocab_size", "null")), new Result(1, "", good.replace("expected", "")),
                new Result(1, "", good.replace("-1", "x".repeat(LINE))),
                new Result(1, "", good.replace("more", "java.lang.String")),
                new Result(1, "", good.replace("more", "\u001b[31m")))) {
            assertTrue(!judge(harm, true, "score", bad, dir).isEmpty(), bad.toString());
        }
    }
}
