package dev.deckle.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.ModelMemory;
import dev.deckle.models.Llama;
import dev.deckle.nn.BlockPool;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.PagedMemory;
import dev.deckle.random.Generator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class DecodingTest {
    private static final int VOCAB = 29;
    private static final Llama MODEL =
            Llama.create(Llama.Config.of(VOCAB, 24, 40, 2, 4, 2, 700, false), 0, 3);

    @AfterAll
    static void close() {
        MODEL.close();
    }

    private static int[] prompt(long seed, int length) {
        Generator random = new Generator(seed);
        return IntStream.range(0, length).map(_ -> 1 + (int) random.nextInt(VOCAB - 1)).toArray();
    }

    /// As many new tokens as the model gives within `most`, of one prompt alone.
    private static int[] alone(Sampler sampler, KvCache.Kind kind, int[] prompt, int most, long seed) {
        return new TextGenerator(MODEL, sampler, Set.of(0), kind).generate(prompt, most, new Generator(seed),
                _ -> true);
    }

    /// Lengths around block edges and far apart, an end token that comes at different times, two prompts that are
    /// equal, drawn by their own generators.
    @ParameterizedTest
    @EnumSource(KvCache.Kind.class)
    void eachOfABatchIsAsAlone(KvCache.Kind kind) {
        Sampler drawn = new Sampler(1.5, 0, 0.98, 0, 1.1);
        List<int[]> prompts = List.of(prompt(1, 1), prompt(2, 31), prompt(3, 32), prompt(4, 33), prompt(5, 65),
                prompt(2, 31), prompt(6, 7));
        try (Decoding decoding =
                new TextGenerator(MODEL, drawn, Set.of(0), kind).decode(prompts, 40, 11)) {
            int tokens = 0;
            while (decoding.hasNext()) {
                decoding.next();
                tokens++;
            }
            assertThrows(NoSuchElementException.class, decoding::next);
            int made = 0;
            List<Integer> lengths = new ArrayList<>();
            for (int i = 0; i < prompts.size(); i++) {
                int[] expected = alone(drawn, kind, prompts.get(i), 40, 11 + i);
                assertArrayEquals(expected, decoding.ids(i), "sequence " + i);
                made += expected.length - prompts.get(i).length;
                lengths.add(expected.length - prompts.get(i).length);
            }
            assertEquals(made, tokens);
            assertTrue(lengths.stream().distinct().count() > 2, "they should end at different times: " + lengths);
        }
    }

    /// What [Scorer] says of the whole sequence, whatever the sampler does to the logits.
    @ParameterizedTest
    @EnumSource(KvCache.Kind.class)
    void logProbsAreTheModels(KvCache.Kind kind) {
        List<int[]> prompts = List.of(prompt(1, 5), prompt(2, 40));
        try (Decoding decoding =
                new TextGenerator(MODEL, new Sampler(0.7, 5, 1, 0, 1.3), Set.of(0), kind).decode(prompts, 12, 1)) {
            while (decoding.hasNext()) {
                Decoding.Token t = decoding.next();
                int[] ids = decoding.ids(t.sequence());
                double[] expected = Scorer.score(MODEL, ids).logprobs();
                assertEquals(expected[expected.length - 1], t.logProb(), 1e-5);
            }
            assertEquals(12, decoding.logProbs(1).length);
        }
    }

    /// Prompts longer than a piece, and one whose first pieces are padding only.
    @ParameterizedTest
    @EnumSource(KvCache.Kind.class)
    void longPromptsGoThroughInPieces(KvCache.Kind kind) {
        List<int[]> prompts = List.of(prompt(1, 650), prompt(2, 3));
        try (Decoding decoding =
                new TextGenerator(MODEL, Sampler.greedy(), Set.of(), kind).decode(prompts, 5, 1)) {
            decoding.forEachRemaining(_ -> {});
            for (int i = 0; i < 2; i++) {
                int[] ids = decoding.ids(i);
                for (int n = prompts.get(i).length; n < ids.length; n++) {
                    float[] logits = Scorer.score(MODEL, Arrays.copyOf(ids, n)).lastLogits();
                    assertEquals(Sampler.argmax(logits), ids[n]);
                }
            }
        }
    }

    @Test
    void nothingIsComputedAheadAndStoppingFreesMemory() {
        List<int[]> prompts = List.of(prompt(1, 5), prompt(2, 8), prompt(3, 2));
        long before = ModelMemory.allocatedBytes();
        var generator = new TextGenerator(MODEL, Sampler.greedy(), Set.of());
        try (Decoding decoding = generator.decode(prompts, 30, 1)) {
            assertEquals(before, ModelMemory.allocatedBytes(), "a cache before anybody asked");
            assertEquals(0, decoding.next().sequence());
            decoding.stop(1); // its first token waits, and nobody will have seen it
            assertEquals(8, decoding.ids(1).length);
            assertEquals(2, decoding.next().sequence());
            assertEquals(0, decoding.next().sequence());
            decoding.stop(0);
            decoding.stop(2);
            assertFalse(decoding.hasNext());
            assertEquals(7, decoding.ids(0).length);
            assertArrayEquals(Arrays.copyOf(alone(Sampler.greedy(), KvCache.Kind.CONTIGUOUS, prompts.get(0), 30, 1), 7),
                    decoding.ids(0));
        }
        assertEquals(before, ModelMemory.allocatedBytes());
    }

    @Test
    void anyThreadMayAskForTheNextToken() throws InterruptedException {
        int[] expected = alone(Sampler.greedy(), KvCache.Kind.PAGED, prompt(1, 5), 6, 1);
        var generator = new TextGenerator(MODEL, Sampler.greedy(), Set.of(0), KvCache.Kind.PAGED);
        try (Decoding decoding = generator.decode(List.of(prompt(1, 5)), 6, 1)) {
            while (decoding.hasNext()) {
                Thread.ofVirtual().start(decoding::next).join();
            }
            assertArrayEquals(expected, decoding.ids(0));
        }
    }

    @Test
    void noEndBeforeTheLeastNumberOfTokens() {
        int[] prompt = prompt(1, 5);
        int[] free = alone(Sampler.greedy(), KvCache.Kind.CONTIGUOUS, prompt, 9, 1);
        int first = free[prompt.length];
        var generator = new TextGenerator(MODEL, Sampler.greedy(), Set.of(first)).withMinNewTokens(3);
        int[] ids = generator.generate(prompt, 9, new Generator(1), _ -> true);
        assertTrue(ids.length >= prompt.length + 3);
        for (int i = prompt.length; i < prompt.length + 3; i++) {
            assertTrue(ids[i] != first);
        }
    }

    /// The second call computes what is new only, and says the same as without a memory; when the pool is too small
    /// for all, the oldest goes.
    @Test
    void beginningsAreKeptFromCallToCall() {
        int[] system = prompt(1, 70);
        int[] one = IntStream.concat(Arrays.stream(system), IntStream.of(3, 4, 5)).toArray();
        int[] two = IntStream.concat(Arrays.stream(system), IntStream.of(6, 7)).toArray();
        try (PagedMemory memory = new PagedMemory(new BlockPool(12, 16))) {
            var generator = new TextGenerator(MODEL, Sampler.greedy(), Set.of(0)).withMemory(memory);
            for (int[] prompt : List.of(one, two, one, prompt(2, 90), prompt(3, 120), two)) {
                int[] expected = alone(Sampler.greedy(), KvCache.Kind.CONTIGUOUS, prompt, 20, 1);
                assertArrayEquals(expected, generator.generate(prompt, 20, new Generator(1), _ -> true));
                assertTrue(memory.pool().used() <= 12);
            }
            try (Decoding both = generator.decode(List.of(one, two), 20, 1)) {
                both.forEachRemaining(_ -> {});
                assertArrayEquals(alone(Sampler.greedy(), KvCache.Kind.CONTIGUOUS, two, 20, 1), both.ids(1));
            }
        }
    }
}
