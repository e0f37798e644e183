package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.autograd.NoGrad;
import dev.deckle.generate.Scorer;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.models.SequenceClassifier;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Runs that TRL recorded, made again by `deckle align`: each step's numbers, and the model at the end.
@Timeout(120)
class AlignGoldenTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden/align");
    private static final double CLOSE = 5e-5;

    @TempDir
    private Path folder;

    static Stream<Path> runs() throws IOException {
        try (Stream<Path> all = Files.list(GOLDEN.resolve("runs"))) {
            return all.sorted().toList().stream();
        }
    }

    private static double[] doubles(JsonElement list) {
        return list.getAsJsonArray().asList().stream().mapToDouble(JsonElement::getAsDouble).toArray();
    }

    private List<JsonObject> align(JsonObject golden, String method, Path run) {
        boolean rollouts = method.equals("grpo");
        List<String> args = new ArrayList<>(List.of("align"));
        golden.getAsJsonArray("args").forEach(a -> args.add(a.getAsString()));
        args.addAll(List.of("--model", GOLDEN.resolve(method.equals("reward") ? "judge" : "policy").toString(),
                rollouts ? "--rollouts" : "--data", run.resolve("data.jsonl").toString(),
                "--out", folder.resolve("out").toString(), "--json"));
        var out = new ByteArrayOutputStream();
        var err = new ByteArrayOutputStream();
        int code = Deckle.run(new PrintStream(out), new PrintStream(err), args.toArray(String[]::new));
        assertEquals(0, code, () -> err.toString(StandardCharsets.UTF_8));
        return out.toString(StandardCharsets.UTF_8).lines().map(l -> JsonParser.parseString(l).getAsJsonObject())
                .filter(o -> o.has("loss")).toList();
    }

    @ParameterizedTest
    @MethodSource("runs")
    void followsTrl(Path run) throws IOException {
        JsonObject golden = JsonParser.parseString(Files.readString(run.resolve("golden.json"))).getAsJsonObject();
        String method = golden.getAsJsonArray("args").get(0).getAsString();
        List<JsonObject> made = align(golden, method, run);
        List<JsonElement> steps = golden.getAsJsonArray("steps").asList();
        assertEquals(steps.size(), made.size());
        for (int i = 0; i < made.size(); i++) {
            JsonObject expected = steps.get(i).getAsJsonObject();
            JsonObject found = made.get(i);
            for (String key : expected.keySet()) {
                if (key.equals("entropy") && !method.equals("grpo")) {
                    continue; // not told: it costs a pass over all logits
                }
                if (key.equals("rewards/accuracies")
                        && Math.abs(expected.get("rewards/margins").getAsDouble()) < 1e-6) {
                    continue; // before the first update nothing is gained, and rounding decides who gained more
                }
                assertTrue(found.has(key), "step " + (i + 1) + " has no " + key);
                double e = expected.get(key).getAsDouble();
                assertEquals(e, found.get(key).getAsDouble(), CLOSE * (1 + Math.abs(e)), "step " + (i + 1) + " " + key);
            }
        }
        int[] probe = golden.getAsJsonArray("probe").asList().stream().mapToInt(JsonElement::getAsInt).toArray();
        double[] logits = doubles(golden.get("final_logits"));
        float[] last = method.equals("reward") ? judged(probe) : lastLogits(probe);
        assertEquals(logits.length, last.length);
        for (int i = 0; i < logits.length; i++) {
            assertEquals(logits[i], last[i], CLOSE * (1 + Math.abs(logits[i])), "logit " + i);
        }
        assertFalse(Files.exists(folder.resolve("out/checkpoints/.making")));
    }

    private float[] lastLogits(int[] probe) throws IOException {
        try (CausalLm model = Models.open(folder.resolve("out"))) {
            return Scorer.score(model, probe).lastLogits();
        }
    }

    /// What a folder of a reward model is worth: opened again for running, it judges as it did.
    private float[] judged(int[] probe) throws IOException {
        try (SequenceClassifier judge = Models.openClassifier(folder.resolve("out"));
                NoGrad _ = NoGrad.open();
                Workspace _ = Workspace.open()) {
            return judge.scores(List.of(probe)).toFloats();
        }
    }
}
