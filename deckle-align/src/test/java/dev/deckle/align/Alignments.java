package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import dev.deckle.io.Safetensors;
import dev.deckle.models.Llama;
import dev.deckle.tensor.Tensor;
import dev.deckle.train.Run;
import dev.deckle.train.TrainListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.UnaryOperator;

/// Small alignment runs on rows of random ids, and what is left of them.
final class Alignments {
    static final int VOCAB = 23;
    private static final int ROWS = 24;
    private static final int GROUP = 4;

    private final Path folder;
    private final Path model;

    /// @param folder for the model, the data and the runs
    Alignments(Path folder) throws IOException {
        this.folder = folder;
        model = Files.createDirectory(folder.resolve("model"));
        try (Llama m = Llama.create(Llama.Config.of(VOCAB, 12, 20, 2, 6, 2, 32, false), 7, 7)) {
            Map<String, Tensor> sharper = new LinkedHashMap<>(); // so that a policy is far from uniform
            m.parameters().forEach((n, p) -> sharper.put(n, n.endsWith("norm.weight") ? p.detach()
                    : p.detach().mul(8)));
            Safetensors.save(model.resolve("model.safetensors"), sharper, Map.of());
            Files.writeString(model.resolve("config.json"), m.configJson().toString());
        }
        Random random = new Random(3);
        StringBuilder sft = new StringBuilder();
        StringBuilder pairs = new StringBuilder();
        StringBuilder rollouts = new StringBuilder();
        for (int i = 0; i < ROWS; i++) {
            String prompt = ids(random, 1 + i % 5);
            sft.append(String.format("{\"prompt_ids\": %s, \"completion_ids\": %s}%n", prompt, ids(random, 1 + i % 7)));
            pairs.append(
                    String.format("{\"prompt_ids\": %s, \"chosen_ids\": %s, \"rejected_ids\": %s, \"margin\": %s}%n",
                            prompt, ids(random, 2 + i % 7), ids(random, 1 + i % 6), i % 3 * 0.25));
        }
        for (int i = 0; i < ROWS / GROUP; i++) {
            String prompt = ids(random, 1 + i % 3);
            for (int j = 0; j < GROUP; j++) {
                int n = 1 + (i + 2 * j) % 8;
                List<String> logprobs = new ArrayList<>();
                for (int t = 0; t < n; t++) {
                    logprobs.add(String.format(java.util.Locale.ROOT, "%.4f", -1.5 - 2 * random.nextDouble()));
                }
                rollouts.append(String.format("{\"prompt_ids\": %s, \"completion_ids\": %s, \"reward\": %s, "
                        + "\"logprobs\": %s}%n", prompt, ids(random, n), i == 1 ? 0.5 : random.nextInt(4) * 0.5,
                        logprobs)); // of the second group all are as good
            }
        }
        Files.writeString(folder.resolve("sft.jsonl"), sft);
        Files.writeString(folder.resolve("pairs.jsonl"), pairs);
        Files.writeString(folder.resolve("rollouts.jsonl"), rollouts);
    }

    private static String ids(Random random, int n) {
        return random.ints(n, 1, VOCAB).boxed().toList().toString();
    }

    Path model() {
        return model;
    }

    Path file(String name) {
        return folder.resolve(name);
    }

    /// @param name a method, or a loss of dpo or grpo
    AlignOptions options(String name) {
        boolean dpo = List.of("sigmoid", "hinge", "ipo", "robust", "cdpo").contains(name);
        AlignOptions o = new AlignOptions(switch (name) {
            case "sft" -> AlignOptions.Method.SFT;
            case "reward" -> AlignOptions.Method.REWARD;
            default -> dpo ? AlignOptions.Method.DPO : AlignOptions.Method.GRPO;
        });
        o.model = model.toString();
        o.steps = 6;
        o.save_every = 100;
        o.eval_every = 100;
        o.lr = 5e-3;
        o.lr_schedule = "cosine";
        o.warmup_steps = 1;
        o.batch_size = 12;
        switch (o.method) {
            case SFT -> o.data = file("sft.jsonl").toString();
            case REWARD, DPO -> o.data = file("pairs.jsonl").toString();
            case GRPO, PPO -> {
                o.rollouts = file("rollouts.jsonl").toString();
                o.group_size = GROUP;
                o.iterations = 4;
                o.max_new_tokens = 9;
                o.beta = name.equals("gspo") ? 0 : 0.1;
                o.temperature = 0.8;
            }
        }
        if (dpo || o.method == AlignOptions.Method.GRPO) {
            o.loss = name;
        }
        return o;
    }

    /// What a run said, step by step.
    static final class Log implements TrainListener {
        final TreeMap<Long, Step> steps = new TreeMap<>();
        private final long killAt;

        Log() {
            this(-1);
        }

        /// @param killAt the step after which it ends like a process that is killed: nothing more is written
        Log(long killAt) {
            this.killAt = killAt;
        }

        @Override
        public void note(String line) {}

        @Override
        public void step(Step step) {
            assertEquals(null, steps.put(step.step(), step));
            if (step.step() == killAt) {
                throw new UncheckedIOException("killed", new IOException("killed"));
            }
        }

        @Override
        public void sample(long step, String text) {}

        List<Double> losses() {
            return steps.values().stream().map(Step::loss).toList();
        }

        /// Everything but how long it took.
        List<JsonObject> told() {
            return steps.values().stream().map(s -> {
                JsonObject o = s.json();
                List.copyOf(o.keySet()).stream().filter(k -> k.contains("per_s") || k.equals("step_time"))
                        .forEach(o::remove);
                return o;
            }).toList();
        }
    }

    Log train(AlignOptions o, Path out) throws IOException {
        Log log = new Log();
        try (Run run = Alignment.start(o.complete(), out, log)) {
            assertTrue(run.train(() -> false));
        }
        return log;
    }

    Log resume(Path out, UnaryOperator<AlignOptions> change) throws IOException {
        Log log = new Log();
        try (Run run = Alignment.resume(out, change, log, Optional.empty())) {
            assertTrue(run.train(() -> false));
        }
        return log;
    }
}
