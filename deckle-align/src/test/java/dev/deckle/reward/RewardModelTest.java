package dev.deckle.reward;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.autograd.NoGrad;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.Workspace;
import dev.deckle.models.Llama;
import dev.deckle.nn.Pass;
import dev.deckle.reward.RewardFunction.Sample;
import dev.deckle.tensor.Tensor;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// A small random model as a judge, against one dot product of the last hidden state.
class RewardModelTest {
    private static final int HIDDEN = 12;
    private static final int LONGEST = 40;
    private static final int VOCAB = 300;

    @TempDir
    private Path folder;

    private final double[] score = new double[HIDDEN];
    private Llama decoder;

    @BeforeEach
    void make() throws IOException {
        decoder = Llama.create(Llama.Config.of(VOCAB, HIDDEN, 20, 2, 6, 2, LONGEST, true), VOCAB - 1, 7);
        Map<String, Tensor> weights = new LinkedHashMap<>(decoder.parameters());
        Arrays.setAll(score, i -> Math.sin(3 * i + 1));
        float[] narrow = new float[HIDDEN];
        IntStream.range(0, HIDDEN).forEach(i -> narrow[i] = (float) score[i]);
        weights.put("score.weight", Tensor.of(narrow, 1, HIDDEN));
        Safetensors.save(folder.resolve("model.safetensors"), weights, Map.of());
        Files.writeString(folder.resolve("config.json"), decoder.configJson().toString());
    }

    @AfterEach
    void close() {
        decoder.close();
    }

    private double plain(int... ids) {
        try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
            Tensor hidden = decoder.hidden(Tensor.of(Arrays.stream(ids).asLongStream().toArray(), 1, ids.length),
                    Pass.evaluate());
            return IntStream.range(0, HIDDEN).mapToDouble(i -> score[i] * hidden.at(0, ids.length - 1, i)).sum();
        }
    }

    private RewardFunction open(Optional<Tokenizer> writer) throws IOException {
        return Rewards.open("model:" + folder, Optional.empty(), writer, _ -> {});
    }

    private static Sample sample(int[] prompt, int[] completion) {
        return new Sample("", "", prompt, completion, Map.of());
    }

    private static Tokenizer tokenizer(String text, int size) {
        var trainer = new BpeTrainer(size, List.of("<|endoftext|>"));
        trainer.count(text.repeat(20).getBytes(StandardCharsets.UTF_8));
        return trainer.train();
    }

    /// More than one batch, of many lengths, in the order of the samples.
    @Test
    void idsAreReadAsTheyAre() throws IOException {
        List<Sample> samples = new ArrayList<>();
        List<Double> expected = new ArrayList<>();
        for (int i = 0; i < 250; i++) {
            int first = i;
            int[] all = IntStream.range(0, 1 + i * 7 % LONGEST).map(t -> 1 + (first * 31 + t * t) % 298).toArray();
            int prompt = i % 3 == 0 ? 0 : all.length / 2;
            samples.add(sample(Arrays.copyOf(all, prompt), Arrays.copyOfRange(all, prompt, all.length)));
            expected.add(plain(all));
        }
        RewardFunction f = open(Optional.empty());
        double[] found = f.rewards(samples);
        assertArrayEquals(expected.stream().mapToDouble(d -> d).toArray(), found, 1e-4);
        assertTrue(Arrays.stream(found).distinct().count() > 200);
        assertEquals("model", f.name());
        f.close();
        assertThrows(IllegalStateException.class, () -> f.rewards(samples));
    }

    /// The same tokenizer under the writer reads its ids; another reads the text, and the end.
    @Test
    void anotherTokenizerReadsTheText() throws IOException {
        Tokenizer own = tokenizer("paper is made of fibres, a deckle of wood. ", VOCAB);
        own.save(folder);
        int[] ids = own.encode("wood paper");
        Sample s = new Sample("wood ", "paper", Arrays.copyOf(ids, 1), Arrays.copyOfRange(ids, 1, ids.length),
                Map.of());
        RewardFunction same = open(Optional.of(Tokenizer.load(folder)));
        assertArrayEquals(new double[] {plain(ids)}, same.rewards(List.of(s)), 1e-5);
        same.close();
        int[] ended = Arrays.copyOf(ids, ids.length + 1);
        ended[ids.length] = own.endOfText().orElseThrow();
        RewardFunction other = open(Optional.of(tokenizer("quite other words and ", 280)));
        Sample strange = new Sample("wood ", "paper", new int[] {1}, new int[] {2, 3}, Map.of());
        assertArrayEquals(new double[] {plain(ended)}, other.rewards(List.of(strange)), 1e-5);
        var none = assertThrows(PartialRewards.class, () -> other.rewards(List.of(sample(ids, ids))));
        assertTrue(none.getMessage().contains("without text"), none.getMessage());
        other.close();
    }

    /// What it cannot read costs that sample alone.
    @Test
    void samplesThatDoNotFit() throws IOException {
        RewardFunction f = open(Optional.empty());
        int[] three = {5, 6, 7};
        List<Sample> samples = List.of(sample(three, new int[LONGEST - 2]), sample(three, three),
                sample(three, new int[] {VOCAB}), sample(new int[0], new int[0]));
        PartialRewards e = assertThrows(PartialRewards.class, () -> f.rewards(samples));
        assertEquals(3, e.failed);
        assertEquals("a sequence of 41 tokens, the model that judges takes 40", e.getMessage());
        assertArrayEquals(new double[] {Double.NaN, plain(5, 6, 7, 5, 6, 7), Double.NaN, Double.NaN}, e.rewards, 1e-5);
        f.close();
    }

    @Test
    void foldersThatDoNotJudge() throws IOException {
        Safetensors.save(folder.resolve("model.safetensors"), decoder.parameters(), Map.of());
        assertRefused(IllegalArgumentException.class, Optional.empty(), "score.weight (1, 12) is missing");
        Files.delete(folder.resolve("model.safetensors"));
        assertRefused(IOException.class, Optional.empty(), "model.safetensors");
        Optional<Tokenizer> writer = Optional.of(tokenizer("a writer of its own ", 280));
        assertRefused(IOException.class, writer, "tokenizer.json is missing, and the model that is judged has one");
        Files.delete(folder.resolve("config.json"));
        assertRefused(IOException.class, Optional.empty(), "config.json");
    }

    private void assertRefused(Class<? extends Exception> type, Optional<Tokenizer> writer, String told) {
        String message = assertThrows(type, () -> open(writer)).getMessage();
        assertTrue(message.startsWith(folder.toString()) && message.contains(told), message);
        assertEquals(1, message.lines().count(), message);
    }
}
