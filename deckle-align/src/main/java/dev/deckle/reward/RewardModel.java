package dev.deckle.reward;

import dev.deckle.autograd.NoGrad;
import dev.deckle.memory.Workspace;
import dev.deckle.models.Adapter;
import dev.deckle.models.Models;
import dev.deckle.models.SequenceClassifier;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/// What a model that was trained to judge thinks of a prompt with its completion.
///
/// Where it reads the tokens of the model that wrote, it gets them as they are. With another tokenizer it reads the
/// text, and the end token after it: what it learned from had ended.
final class RewardModel implements RewardFunction {
    private static final int MOST_TOKENS = 4096; // of a padded batch

    private final SequenceClassifier model;
    private final int vocabSize;
    private final Optional<Tokenizer> tokenizer; // where it has to read text

    private RewardModel(SequenceClassifier model, int vocabSize, Optional<Tokenizer> tokenizer) {
        this.model = model;
        this.vocabSize = vocabSize;
        this.tokenizer = tokenizer;
    }

    /// @param writer the tokenizer of the model that is judged, where there is one
    /// @throws IOException in one line, where a file is missing or broken, the tokenizer too where one is needed
    /// @throws IllegalArgumentException in one line, where the folder holds no model that judges
    static RewardModel open(Path folder, Optional<Tokenizer> writer) throws IOException {
        int vocabSize = Models.limits(Adapter.holder(folder, "config.json")).vocabSize();
        Path words = Adapter.holder(folder, "tokenizer.json");
        Optional<Tokenizer> own = Files.exists(words.resolve("tokenizer.json"))
                ? Optional.of(Tokenizer.load(words))
                : Optional.empty();
        boolean sameIds = own.map(Tokenizer::fingerprint).equals(writer.map(Tokenizer::fingerprint));
        if (!sameIds && own.isEmpty()) {
            throw new IOException(folder + ": tokenizer.json is missing, and the model that is judged has one");
        }
        return new RewardModel(Models.openClassifier(folder), vocabSize, sameIds ? Optional.empty() : own);
    }

    @Override
    public double[] rewards(List<Sample> samples) {
        double[] rewards = new double[samples.size()];
        Arrays.fill(rewards, Double.NaN);
        List<int[]> read = samples.stream().map(this::ids).toList();
        List<Integer> order = IntStream.range(0, read.size())
                .filter(i -> refusal(read.get(i)).isEmpty())
                .boxed()
                .sorted((a, b) -> Integer.compare(read.get(b).length, read.get(a).length)) // little padding
                .toList();
        try (var _ = model.lease(); NoGrad _ = NoGrad.open()) {
            int from = 0;
            while (from < order.size() && !Thread.currentThread().isInterrupted()) { // the panel: the time is over
                int rows = Math.max(1, MOST_TOKENS / read.get(order.get(from)).length);
                List<Integer> some = order.subList(from, Math.min(order.size(), from + rows));
                score(some, read, rewards);
                from += some.size();
            }
        }
        int missing = (int) Arrays.stream(rewards).filter(r -> !Double.isFinite(r)).count();
        if (missing > 0) {
            throw new PartialRewards(Arrays.stream(rewards).map(r -> Double.isFinite(r) ? r : Double.NaN).toArray(),
                    missing, read.stream().map(this::refusal).filter(r -> !r.isEmpty()).findFirst()
                            .orElse("a score that is not finite, or none in time"));
        }
        return rewards;
    }

    private void score(List<Integer> some, List<int[]> read, double[] rewards) {
        try (Workspace _ = Workspace.open()) {
            double[] scores = model.scores(some.stream().map(read::get).toList()).toDoubles();
            for (int i = 0; i < scores.length; i++) {
                rewards[some.get(i)] = scores[i];
            }
        }
    }

    /// What it reads of a sample; nothing where the text is not known.
    private int[] ids(Sample s) {
        if (tokenizer.isEmpty()) {
            return IntStream.concat(Arrays.stream(s.promptIds()), Arrays.stream(s.completionIds())).toArray();
        }
        Tokenizer t = tokenizer.get();
        String text = s.prompt() + s.completion();
        if (text.isEmpty()) {
            return new int[0];
        }
        int[] plain = t.encode(text);
        boolean begun = plain.length > 0 && t.beginOfText().isPresent() && plain[0] == t.beginOfText().getAsInt();
        IntStream ids = Arrays.stream(begun ? plain : t.begin(text)); // a chat template writes the beginning itself
        return (t.endOfText().isPresent() ? IntStream.concat(ids, IntStream.of(t.endOfText().getAsInt())) : ids)
                .toArray();
    }

    /// Why it cannot read them; empty if it can.
    private String refusal(int[] ids) {
        if (ids.length == 0) {
            return tokenizer.isEmpty() ? "a sample without ids" : "a sample without text, and its tokenizer is another";
        }
        if (ids.length > model.maxPositionEmbeddings()) {
            return "a sequence of " + ids.length + " tokens, the model that judges takes "
                    + model.maxPositionEmbeddings();
        }
        return Arrays.stream(ids).anyMatch(id -> id >= vocabSize)
                ? "an id beyond the " + vocabSize + " of the model that judges"
                : "";
    }

    @Override
    public String name() {
        return "model";
    }

    @Override
    public void close() {
        model.close();
    }
}
