package dev.deckle.align;

import com.google.gson.JsonObject;
import dev.deckle.tokenizer.Tokenizer;
import dev.deckle.train.Task;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.IntStream;

/// Some of what was drawn last, for a person to read: of a few prompts the best completions, with what they earned.
final class SampleTable {
    private static final int PROMPTS = 4;
    private static final int COMPLETIONS = 4;
    private static final int WIDTH = 100;

    private SampleTable() {}

    /// @param advantages of each rollout, of PPO the mean over its tokens
    /// @return nothing where the model did not draw them, or before it did
    static Optional<Task.Sample> of(RolloutSource source, List<Row.Rollout> batch, double[] advantages, int group) {
        if (!source.drawnNow() || batch.isEmpty() || advantages.length != batch.size()) {
            return Optional.empty();
        }
        List<JsonObject> rows = new ArrayList<>();
        StringBuilder table = new StringBuilder();
        for (int g = 0; g < Math.min(PROMPTS, batch.size() / group); g++) {
            table.append(text(source.tokenizer(), batch.get(g * group).prompt())).append('\n');
            int first = g * group;
            List<Integer> best = IntStream.range(first, first + group)
                    .boxed()
                    .sorted((a, b) -> Double.compare(worth(batch.get(b)), worth(batch.get(a))))
                    .limit(COMPLETIONS)
                    .toList();
            for (int i : best) {
                Row.Rollout r = batch.get(i);
                rows.add(row(source.tokenizer(), r, advantages[i]));
                table.append(String.format(Locale.ROOT, "%8.3f %+7.2f  %s%n", r.reward(), advantages[i],
                        text(source.tokenizer(), r.completion())));
            }
        }
        return Optional.of(new Task.Sample(table.toString(), rows));
    }

    /// For the order: what nobody judged comes last.
    private static double worth(Row.Rollout r) {
        return Double.isNaN(r.reward()) ? Double.NEGATIVE_INFINITY : r.reward();
    }

    private static String text(Optional<Tokenizer> tokenizer, int[] ids) {
        String all = tokenizer.map(t -> t.decode(ids)).orElseGet(() -> Arrays.toString(ids));
        String line = all.strip().replaceAll("\\s+", " ");
        int points = line.codePointCount(0, line.length());
        return points <= WIDTH ? line : line.substring(0, line.offsetByCodePoints(0, WIDTH)) + "...";
    }

    /// Without a reward where nobody judged it; of a model without a tokenizer the ids.
    private static JsonObject row(Optional<Tokenizer> tokenizer, Row.Rollout r, double advantage) {
        JsonObject o = new JsonObject();
        if (tokenizer.isPresent()) {
            o.addProperty("prompt", tokenizer.get().decode(r.prompt()));
            o.addProperty("completion", tokenizer.get().decode(r.completion()));
        } else {
            o.add("prompt_ids", Rows.array(r.prompt()));
            o.add("completion_ids", Rows.array(r.completion()));
        }
        if (!Double.isNaN(r.reward())) {
            o.addProperty("reward", r.reward());
        }
        o.addProperty("advantage", advantage);
        o.addProperty("ended", r.ended());
        return o;
    }
}
