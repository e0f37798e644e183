package dev.deckle.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Timeline;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.UnaryOperator;

/// Small runs of several ranks, and what is left of them.
final class Runs {
    private Runs() {}

    /// What a run said, step by step.
    static final class Log implements TrainListener {
        final TreeMap<Long, Step> steps = new TreeMap<>();
        int samples;

        @Override
        public void note(String line) {}

        @Override
        public void step(Step step) {
            assertEquals(null, steps.put(step.step(), step));
        }

        @Override
        public void sample(long step, String text) {
            samples++;
        }

        List<Double> losses() {
            return steps.values().stream().map(Step::loss).toList();
        }
    }

    /// Some text to train on.
    static Path corpus(Path folder) throws IOException {
        Path text = Files.createDirectories(folder.resolve("text"));
        for (int i = 0; i < 12; i++) {
            StringBuilder b = new StringBuilder();
            for (int j = 0; j < 30; j++) {
                b.append("line ").append(i * j % 17).append(" of document ").append(i).append(": to be or not to be\n");
            }
            Files.writeString(text.resolve("doc" + i + ".txt"), b);
        }
        return text;
    }

    static TrainOptions options(Path text, int ranks, int zero) {
        TrainOptions o = TrainOptions.preset("small");
        o.data = List.of(text.toString());
        o.layers = 2;
        o.hidden_size = 12;
        o.heads = 3;
        o.ffn_size = 20;
        o.context = 9;
        o.batch_size = 12;
        o.vocab_size = 260;
        o.steps = 12;
        o.save_every = 5;
        o.eval_every = 100;
        o.warmup_steps = 3;
        o.lr = 1e-2;
        o.ranks = ranks;
        o.zero = zero;
        return o;
    }

    static Log train(TrainOptions o, Path out) throws IOException {
        Log log = new Log();
        try (Run run = Pretraining.start(o.complete(), out, log)) {
            assertTrue(run.train(() -> false));
        }
        return log;
    }

    static Log resume(Path out, UnaryOperator<TrainOptions> change) throws IOException {
        Log log = new Log();
        try (Run run = Pretraining.resume(out, change, log)) {
            assertTrue(run.train(() -> false));
        }
        return log;
    }

    /// Goes on for some steps, as until Ctrl-C.
    static Log resumeFor(int steps, Path out, UnaryOperator<TrainOptions> change) throws IOException {
        Log log = new Log();
        try (Run run = Pretraining.resume(out, change, log)) {
            run.train(() -> log.steps.size() >= steps - 1); // the step at hand is finished
        }
        return log;
    }

    /// Ranks as threads, each of which gets another communicator than the real one.
    static Launch meddling(int worldSize, UnaryOperator<Communicator> with) {
        Launch threads = Launch.threads(worldSize);
        return new Launch() {
            @Override
            public int worldSize() {
                return worldSize;
            }

            @Override
            public List<Integer> ranks() {
                return threads.ranks();
            }

            @Override
            public Optional<Communicator> others() {
                return threads.others();
            }

            @Override
            public void run(boolean traced, BiConsumer<Communicator, Timeline> body) {
                threads.run(traced, (c, t) -> body.accept(with.apply(c), t));
            }
        };
    }

    /// The header of a safetensors file: names, types, shapes and places.
    static String header(Path file) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        byte[] header = new byte[(int) bytes.getLong()];
        bytes.get(header);
        return new String(header, StandardCharsets.UTF_8);
    }
}
