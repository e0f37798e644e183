package dev.deckle.reward;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import dev.deckle.io.Shown;
import java.io.IOException;
import java.io.StringReader;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/// A process of the user's that judges: JSON lines in, JSON lines out.
///
/// `sh -c CMD` is started once. For each sample it gets one line
/// `{"prompt": ..., "completion": ..., "prompt_ids": [...], "completion_ids": [...]}` with the columns of the row
/// beside (these four names are taken), and answers with one line `{"reward": 0.5}`, or `null` for none, in the same
/// order. It may answer at once or when it has read a whole batch, but cannot see where a batch ends.
///
/// An object without a usable `reward` costs that sample's reward. Where the process ends, is silent until the time of
/// the batch is over, or writes what is no JSON object, the samples without an answer get none, and where it writes
/// more lines than it was asked for all samples of the batch, since nobody knows which answer belongs where; it is then
/// ended and started again for the next batch.
final class CommandReward implements RewardFunction {
    private final String command;
    private final Consumer<String> stderr;
    private volatile LineProcess process;
    private volatile boolean closed;

    /// @param stderr gets each line that the process writes on stderr
    CommandReward(String command, Consumer<String> stderr) {
        this.command = command;
        this.stderr = stderr;
    }

    @Override
    public synchronized double[] rewards(List<Sample> samples) {
        double[] rewards = new double[samples.size()];
        Arrays.fill(rewards, Double.NaN);
        int answered = 0;
        int failed = 0;
        String failure = "";
        boolean inStep = false;
        try {
            LineProcess p = running();
            p.write(samples.stream().map(CommandReward::line).toList());
            while (answered < rewards.length) {
                try {
                    rewards[answered] = answer(p);
                } catch (WrongReward e) {
                    failed++;
                    failure = failure.isEmpty() ? e.getMessage() : failure;
                }
                answered++;
            }
            inStep = p.hasRead() && !p.hasMore();
            if (!inStep) {
                Arrays.fill(rewards, Double.NaN);
                answered = 0;
                failed = 0;
                failure = "more answers than samples";
            }
        } catch (OutOfStep | IOException e) {
            failure = failure.isEmpty() ? e.getMessage() : failure;
        } catch (InterruptedException _) { // the panel's way to say that the time is over
            failure = failure.isEmpty()
                    ? "no answer in time for " + (rewards.length - answered) + " of " + rewards.length + " samples"
                            + " (does it flush each line?)" + process.lastWords()
                    : failure;
        }
        if (!inStep) {
            stop();
        }
        failed += rewards.length - answered;
        if (failed > 0) {
            throw new PartialRewards(rewards, failed, failure);
        }
        return rewards;
    }

    private LineProcess running() throws IOException {
        if (closed) {
            throw new IOException("closed");
        }
        if (process != null && (!process.isAlive() || process.hasMore())) {
            stop(); // it died or went on talking since the last batch
        }
        if (process == null) {
            process = LineProcess.start(command, stderr);
        }
        return process;
    }

    private static String line(Sample s) {
        JsonObject o = new JsonObject();
        o.addProperty("prompt", s.prompt());
        o.addProperty("completion", s.completion());
        o.add("prompt_ids", array(s.promptIds()));
        o.add("completion_ids", array(s.completionIds()));
        s.columns().forEach((name, value) -> {
            if (!o.has(name)) {
                o.add(name, value);
            }
        });
        return o.toString();
    }

    private static JsonArray array(int[] ids) {
        JsonArray a = new JsonArray(ids.length);
        for (int id : ids) {
            a.add(id);
        }
        return a;
    }

    /// The answer for the next sample.
    private static double answer(LineProcess p) throws InterruptedException, OutOfStep, WrongReward {
        return switch (p.read()) {
            case LineProcess.Said.Line(String text) -> reward(text);
            case LineProcess.Said.TooLong() -> throw new OutOfStep(
                    "a line of more than " + LineProcess.LONGEST_LINE + " bytes");
            case LineProcess.Said.End() -> throw new OutOfStep(p.obituary());
        };
    }

    /// Python writes NaN and Infinity where JSON has no word for them, so these are read as well.
    private static double reward(String line) throws OutOfStep, WrongReward {
        JsonReader reader = new JsonReader(new StringReader(line));
        reader.setStrictness(Strictness.LENIENT);
        JsonObject object;
        try {
            if (!(JsonParser.parseReader(reader) instanceof JsonObject o)
                    || reader.peek() != JsonToken.END_DOCUMENT) {
                throw new OutOfStep("expected {\"reward\": NUMBER or null}, not " + Shown.brief(line));
            }
            object = o;
        } catch (JsonParseException | IOException _) {
            throw new OutOfStep("expected {\"reward\": NUMBER or null}, not " + Shown.brief(line));
        }
        JsonElement reward = object.get("reward");
        if (reward instanceof JsonNull) {
            return Double.NaN;
        }
        if (reward instanceof JsonPrimitive p && (p.isNumber() || isNoNumber(p))) {
            try {
                return Double.parseDouble(p.getAsString());
            } catch (NumberFormatException _) {
                // said below
            }
        }
        throw new WrongReward("expected a number or null in \"reward\", not " + Shown.brief(line));
    }

    private static boolean isNoNumber(JsonPrimitive p) {
        return List.of("NaN", "Infinity", "-Infinity").contains(p.getAsString());
    }

    @Override
    public String name() {
        return "command";
    }

    /// Not synchronized with a call under way, whose process it ends.
    @Override
    public void close() {
        closed = true;
        stop();
    }

    private void stop() {
        LineProcess p = process;
        process = null;
        if (p != null) {
            p.close();
        }
    }

    /// What the process writes can no longer be told apart.
    private static final class OutOfStep extends Exception {
        private static final long serialVersionUID = 1;

        OutOfStep(String message) {
            super(message);
        }
    }

    /// An answer, but no reward.
    private static final class WrongReward extends Exception {
        private static final long serialVersionUID = 1;

        WrongReward(String message) {
            super(message);
        }
    }
}
