package dev.deckle.train;

import com.google.gson.JsonObject;
import dev.deckle.io.AtomicFile;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/// What a run leaves of each step: a line of `metrics.jsonl`, TensorBoard's scalars, and the listener's call; and of
/// samples lines of `samples.jsonl`. The first rank keeps them.
final class Records implements AutoCloseable {
    private final RunFolder folder;
    private final TrainListener listener;
    private final Metrics metrics;
    private final TensorBoardWriter board;

    private Records(RunFolder folder, TrainListener listener, Metrics metrics, TensorBoardWriter board) {
        this.folder = folder;
        this.listener = listener;
        this.metrics = metrics;
        this.board = board;
    }

    /// @param firstStep the next step of the run
    static Records open(RunFolder folder, TrainListener listener, long firstStep) throws IOException {
        Metrics metrics = Metrics.open(folder.file("metrics.jsonl"));
        try {
            return new Records(folder, listener, metrics, TensorBoardWriter.open(folder.path(), firstStep));
        } catch (IOException | RuntimeException | Error e) {
            metrics.close();
            throw e;
        }
    }

    void step(TrainListener.Step s) throws IOException {
        try {
            write(s);
        } catch (IOException e) { // a channel's complaint names no file
            throw new IOException(folder.path() + ": the records cannot be written: " + AtomicFile.reason(e), e);
        }
        listener.step(s);
    }

    private void write(TrainListener.Step s) throws IOException {
        JsonObject line = s.json();
        metrics.write(line);
        Map<String, Double> scalars = new LinkedHashMap<>();
        for (String key : line.keySet()) {
            if (!key.equals("step") && !key.equals("tokens")) {
                boolean held = key.startsWith("val_") || key.startsWith("eval_");
                scalars.put(held ? key.replaceFirst("_", "/") : "train/" + key, line.get(key).getAsDouble());
            }
        }
        board.add(s.step(), scalars);
    }

    void sample(long step, Task.Sample sample) throws IOException {
        if (!sample.rows().isEmpty()) {
            try (Metrics samples = Metrics.open(folder.file("samples.jsonl"))) {
                for (JsonObject row : sample.rows()) {
                    JsonObject line = new JsonObject();
                    line.addProperty("step", step);
                    line.asMap().putAll(row.asMap());
                    samples.write(line);
                }
            }
        }
        listener.sample(step, sample.text());
    }

    /// What was written is on the disk, for a checkpoint that relies on it.
    void sync() throws IOException {
        metrics.sync();
    }

    @Override
    public void close() throws IOException {
        try (metrics) {
            board.close();
        }
    }
}
