package dev.deckle.zero;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.distributed.Traffic;
import dev.deckle.distributed.Verb;
import dev.deckle.models.Llama;
import java.util.function.ToLongFunction;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// What the ranks keep and send, against the formulas of ZeRO's paper.
@Timeout(120)
class CostTest {
    private static final int VOCABULARY = 311;
    private static final int HIDDEN = 40;
    private static final int LAYERS = 5;
    private static final long EMBEDDING = (long) VOCABULARY * HIDDEN;
    private static final long LAYER = 4L * HIDDEN * HIDDEN + 3L * HIDDEN * 108 + 2L * HIDDEN;

    private static Fleet.Job job(boolean tied, int accumulation) {
        var config = Llama.Config.of(VOCABULARY, HIDDEN, 108, LAYERS, 5, 5, 16, tied);
        return new Fleet.Job(home -> Llama.create(config, 0, 3, home), VOCABULARY, 12, accumulation, 3, 1, _ -> false);
    }

    private static long parameters(boolean tied) {
        return (tied ? 1 : 2) * EMBEDDING + LAYERS * LAYER + HIDDEN;
    }

    /// In F32: 4 bytes for a parameter, 4 for its gradient, 8 for its moments.
    @ParameterizedTest
    @CsvSource({"0,1", "0,3", "1,2", "1,3", "2,3", "2,4", "3,2", "3,4", "3,7"})
    void eachRankKeepsItsPart(int stage, int ranks) {
        Fleet.Outcome o = Fleet.train(job(false, 1).rows(2 * ranks), new Fleet.Layout(ranks, stage));
        double psi = parameters(false);
        assertPart(4 * psi, stage >= 3 ? ranks : 1, o, Partition.Memory::parameters);
        assertPart(4 * psi, stage >= 2 ? ranks : 1, o, Partition.Memory::gradients);
        assertPart(8 * psi, stage >= 1 ? ranks : 1, o, Partition.Memory::optimizer);
        for (Partition.Memory m : o.memory()) {
            assertEquals(stage >= 3, m.gathered() > 0);
            assertEquals(stage >= 2, m.incoming() > 0);
            // two layers: while one is computed the next is on its way, and the gradients of the one before
            assertTrue(stage < 3 || m.gathered() >= 4 * 2 * LAYER, "a layer ahead");
            assertTrue(stage < 2 || m.incoming() >= 4 * 2 * LAYER, "a layer behind");
            long layers = 4 * (EMBEDDING + 2 * LAYER + HIDDEN);
            assertTrue(m.gathered() <= layers, m.gathered() + " of " + layers + " for two layers and the embedding");
            assertTrue(m.incoming() <= layers, m.incoming() + " of " + layers + " for two layers and the embedding");
        }
    }

    private static void assertPart(double all, int parts, Fleet.Outcome o, ToLongFunction<Partition.Memory> bytes) {
        double sum = 0;
        for (Partition.Memory m : o.memory()) {
            double part = bytes.applyAsLong(m);
            // a shard is cut at 16 elements in each of the units, of up to 8 bytes each
            assertEquals(all / parts, part, 0.02 * all / parts + (LAYERS + 2) * 16 * 8);
            sum += part;
        }
        assertEquals(all * o.memory().size() / parts, sum, 0.001 * sum); // and nothing is lost between the shards
    }

    @ParameterizedTest
    @CsvSource({"0,2,1", "0,3,3", "1,2,1", "1,3,3", "2,4,1", "2,3,3", "3,2,1", "3,3,3"})
    void elementsOfAStep(int stage, int ranks, int accumulation) {
        for (boolean tied : new boolean[] {true, false}) {
            Fleet.Outcome o = Fleet.train(job(tied, accumulation), new Fleet.Layout(ranks, stage));
            double psi = parameters(tied);
            // not gathered again for the backward pass: the head, which is there still, and the embedding
            double backward = tied ? psi - EMBEDDING : psi - 2 * EMBEDDING - HIDDEN;
            double forward = tied ? psi + EMBEDDING : psi; // tied, it is used at both ends
            double gathers = stage == 0 ? 0 : stage < 3 ? psi : accumulation * (forward + backward);
            for (Traffic t : o.traffic()) {
                double sums = 2 * 2; // the loss and the norm, all-reduced
                assertCount(stage == 0 ? 2 * psi + sums : sums, t, Verb.ALL_REDUCE);
                assertCount(stage == 0 ? 0 : stage == 1 ? psi : accumulation * psi, t, Verb.REDUCE_SCATTER);
                assertCount(gathers, t, Verb.ALL_GATHER);
                if (accumulation == 1 && tied) {
                    assertEquals(stage < 3 ? 2 : 3, t.total().elements() / psi, 0.02 * 2);
                }
            }
            // of each collective N - 1 of N parts travel, whoever sends them
            double sent = o.traffic().stream().mapToLong(t -> t.total().bytes()).sum();
            double elements = o.traffic().getFirst().total().elements() - 4;
            assertEquals(4 * elements * (ranks - 1), sent, 0.005 * sent);
        }
    }

    private static void assertCount(double expected, Traffic t, Verb verb) {
        assertEquals(expected, t.counts().get(verb).elements(), 0.001 * expected, verb.label());
    }
}
