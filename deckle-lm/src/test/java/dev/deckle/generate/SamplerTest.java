package dev.deckle.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.random.Generator;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SamplerTest {
    /// The tokens that can come out.
    private static Set<Integer> drawn(Sampler s, float... logits) {
        Generator random = new Generator(1);
        Set<Integer> seen = new TreeSet<>();
        for (int i = 0; i < 3000; i++) {
            seen.add(s.next(logits.clone(), new int[] {0}, random));
        }
        return seen;
    }

    private static float[] logs(double... p) {
        float[] l = new float[p.length];
        for (int i = 0; i < p.length; i++) {
            l[i] = (float) Math.log(p[i]);
        }
        return l;
    }

    @Test
    void greedyTakesTheFirstOfTheLargest() {
        assertEquals(1, Sampler.greedy().next(new float[] {0, 2, 2, 1}, new int[0], new Generator(1)));
    }

    @Test
    void topKKeepsTies() {
        assertEquals(Set.of(0, 1, 2), drawn(new Sampler(1, 2, 1, 0, 1), 1, 1, 1, 0));
        assertEquals(Set.of(1), drawn(new Sampler(1, 1, 1, 0, 1), 0, 3, 1));
    }

    /// PyTorch's and Hugging Face's boundaries for probabilities .5 .3 .15 .05 in f32.
    @Test
    void topPKeepsTheTokenThatCrosses() {
        float[] l = logs(0.05, 0.5, 0.15, 0.3);
        assertEquals(Set.of(1, 3), drawn(new Sampler(1, 0, 0.7999, 0, 1), l));
        assertEquals(Set.of(1, 2, 3), drawn(new Sampler(1, 0, 0.8001, 0, 1), l));
        assertEquals(Set.of(1), drawn(new Sampler(1, 0, 1e-6, 0, 1), l));
        assertEquals(Set.of(0, 1, 2, 3), drawn(new Sampler(1, 0, 1, 0, 1), l));
    }

    @Test
    void minPIsRelativeToTheLikeliest() {
        assertEquals(Set.of(0, 1), drawn(new Sampler(1, 0, 1, 0.5, 1), logs(0.5, 0.3, 0.15, 0.05)));
    }

    @Test
    void temperatureSharpens() {
        float[] l = logs(0.6, 0.4);
        Generator random = new Generator(1);
        int first = 0;
        for (int i = 0; i < 4000; i++) {
            first += new Sampler(0.5, 0, 1, 0, 1).next(l.clone(), new int[0], random) == 0 ? 1 : 0;
        }
        assertEquals(0.36 / (0.36 + 0.16), first / 4000.0, 0.03); // squared and normalised
    }

    @Test
    void thePenaltyActsOnWhatWasThere() {
        Sampler s = new Sampler(0, 0, 1, 0, 2);
        assertEquals(1, s.next(new float[] {3, 2, -1}, new int[] {0, 0}, new Generator(1)));
        assertEquals(1, s.next(new float[] {-1, -1.5f}, new int[] {0}, new Generator(1)));
    }

    /// Each filter alone, on logits that are exact in f32.
    @Test
    void filtersHideTokens() {
        float gone = Float.NEGATIVE_INFINITY;
        float[] l = {1, 3, 2, 2, 0};
        Sampler.keepTopK(l, 2);
        assertArrayEquals(new float[] {gone, 3, 2, 2, gone}, l, "what equals the second stays");
        Sampler.keepTopK(l, 5);
        assertArrayEquals(new float[] {gone, 3, 2, 2, gone}, l);

        float[] even = {0, 0, 0, 0};
        Sampler.keepTopP(even, 0.5); // .25 + .25 <= .5 are dropped, the first of equals first
        assertArrayEquals(new float[] {gone, gone, 0, 0}, even);
        float[] crossing = {0, 0, 0, 0};
        Sampler.keepTopP(crossing, 0.51); // the third is needed to reach p
        assertArrayEquals(new float[] {gone, 0, 0, 0}, crossing);
        float[] sure = {0, 9, 0};
        Sampler.keepTopP(sure, 1e-9);
        assertArrayEquals(new float[] {gone, 9, gone}, sure);

        float[] halves = {0, 1, 1 - (float) Math.log(2) + 1e-3f, 1 - (float) Math.log(2) - 1e-3f};
        Sampler.keepMinP(halves, 0.5);
        assertEquals(gone, halves[0]);
        assertEquals(gone, halves[3]);
        assertTrue(halves[1] == 1 && halves[2] > 0);
        float[] all = {gone, 1, 0};
        Sampler.keepMinP(all, 0);
        assertArrayEquals(new float[] {gone, 1, 0}, all);
        Sampler.keepMinP(all, 1);
        assertArrayEquals(new float[] {gone, 1, gone}, all);
        assertArrayEquals(new double[] {0.25, 0, 0.75}, Sampler.softmax(logs(0.25, 0, 0.75)), 1e-7);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "0   | 0.5 | 0.5 | top-k must be at least 1, not 0",
        "1   | 0   | 0.5 | top-p must be above 0 and at most 1, not 0.0",
        "1   | 1.5 | 0.5 | top-p must be above 0 and at most 1, not 1.5",
        "1   | NaN | 0.5 | top-p must be above 0 and at most 1, not NaN",
        "1   | 1   | -1  | min-p must be from 0 to 1, not -1.0"
    })
    void argumentsOutOfRangeAreNamed(int k, double p, double minP, String expected) {
        String m = assertThrows(IllegalArgumentException.class, () -> {
            Sampler.keepTopK(new float[] {1, 2, 3}, k);
            Sampler.keepTopP(new float[] {1, 2, 3}, p);
            Sampler.keepMinP(new float[] {1, 2, 3}, minP);
        }).getMessage();
        assertEquals(expected, m);
    }

    @Test
    void nonsenseIsRefused() {
        String m = assertThrows(IllegalArgumentException.class, () -> new Sampler(-1, 0, 1, 0, 1)).getMessage();
        assertTrue(m.contains("temperature must be at least 0, not -1"), m);
        assertThrows(IllegalArgumentException.class, () -> new Sampler(1, 0, 0, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> new Sampler(1, 0, 1.1, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> new Sampler(1, -1, 1, 0, 1));
        assertThrows(IllegalArgumentException.class, () -> new Sampler(Double.NaN, 0, 1, 0, 1));
    }
}
