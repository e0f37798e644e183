package dev.deckle.align;

import dev.deckle.reward.RewardFunction;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// Options of small runs whose completions are drawn: prompts of random ids, and rewards that vary.
final class PpoRuns {
    private static final int PROMPTS = 10;

    private PpoRuns() {}

    /// Half a point for each id of a completion that divides by three; none at all (NaN) after a prompt of four tokens.
    public static final class Judge implements RewardFunction {
        @Override
        public double[] rewards(List<Sample> samples) {
            return samples.stream().mapToDouble(Judge::of).toArray();
        }

        private static double of(Sample s) {
            return s.promptIds().length == 4 ? Double.NaN
                    : 0.5 * Arrays.stream(s.completionIds()).filter(id -> id % 3 == 0).count();
        }
    }

    /// Both on one batch more than once and in parts, beta steered, completions that do not end punished.
    static AlignOptions options(Alignments runs) throws IOException {
        Path prompts = runs.file("prompts.jsonl");
        if (!Files.exists(prompts)) {
            Random random = new Random(5);
            List<String> lines = new ArrayList<>();
            for (int i = 0; i < PROMPTS; i++) {
                lines.add("{\"prompt_ids\": " + random.ints(1 + i % 4, 1, Alignments.VOCAB).boxed().toList() + "}");
            }
            Files.write(prompts, lines);
            Files.writeString(runs.model().resolve("generation_config.json"), "{\"eos_token_id\": [7, 12, 18]}");
        }
        AlignOptions o = new AlignOptions(AlignOptions.Method.PPO);
        o.model = runs.model().toString();
        o.data = prompts.toString();
        o.reward = List.of(Judge.class.getName());
        o.batch_size = 12;
        o.mini_batches = 2;
        o.iterations = 2;
        o.steps = 10;
        o.save_every = 100;
        o.eval_every = 100;
        o.lr = 1e-2;
        o.lr_schedule = "constant";
        o.temperature = 0.8;
        o.max_new_tokens = 6;
        o.beta = 0.3;
        o.kl_target = 0.1;
        o.value_coef = 0.7;
        o.lambda = 0.9;
        o.gamma = 0.97;
        o.missing_end_penalty = 0.4;
        return o;
    }
}
