package dev.deckle.zero;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.Workspace;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Matrices in BF16, their masters in F32, on all stages.
@Timeout(120)
class HalfStagesTest {
    /// Gradients are rounded to eight bits for each rank and micro-batch, so one rank gives other ones than many.
    private static final double CLOSE = 2e-3;

    private static Fleet.Outcome train(Fleet.Job job, int ranks, int stage) {
        return Fleet.train(job, new Fleet.Layout(ranks, stage, DType.BF16, Optional.empty()));
    }

    @ParameterizedTest
    @CsvSource({"false,1", "true,1", "false,3", "true,3"})
    void everyStageOnAnyNumberOfRanks(boolean tied, int accumulation) {
        Fleet.Job job = Fleet.llama(tied, accumulation);
        Fleet.Outcome wide = Fleet.plain(job);
        Fleet.Outcome one = train(job, 1, 0);
        assertArrayEquals(wide.losses(), one.losses(), 1e-2);
        for (int ranks : new int[] {1, 2, 3, 4, 7}) {
            Fleet.Outcome[] of = new Fleet.Outcome[4];
            for (int stage = 0; stage < 4; stage++) {
                of[stage] = train(job, ranks, stage);
                assertArrayEquals(one.losses(), of[stage].losses(), CLOSE, "stage " + stage + " on " + ranks);
                assertRounded(of[stage]);
            }
            assertSame(of[0], of[1]);
            assertSame(of[2], of[3]);
            if (accumulation == 1) {
                assertSame(of[1], of[2]);
            }
        }
    }

    private static void assertSame(Fleet.Outcome a, Fleet.Outcome b) {
        assertArrayEquals(a.losses(), b.losses());
        assertArrayEquals(a.norms(), b.norms());
        assertSame(a.weights(), b.weights());
        assertSame(a.state(), b.state());
    }

    private static void assertSame(Map<String, float[]> a, Map<String, float[]> b) {
        assertEquals(a.keySet(), b.keySet());
        a.forEach((n, x) -> assertArrayEquals(x, b.get(n), n));
    }

    /// What layers compute with is the master, rounded; vectors are their own masters.
    private static void assertRounded(Fleet.Outcome o) {
        o.weights().forEach((name, w) -> {
            float[] master = o.state().get(name + ".master");
            assertEquals(name.contains("norm"), master == null, name);
            if (master != null) {
                try (Workspace _ = Workspace.open()) {
                    assertArrayEquals(Tensor.of(master, master.length).to(DType.BF16).to(DType.F32).toFloats(), w,
                            name);
                }
            }
        });
    }

    /// The paper's 2 bytes for a weight, 2 for its gradient, 12 for its master and moments.
    @ParameterizedTest
    @CsvSource({"0,1", "0,3", "1,3", "2,3", "3,3", "3,7"})
    void eachRankKeepsItsPart(int stage, int ranks) {
        Fleet.Job job = Fleet.llama(false, 1).rows(ranks).steps(2);
        Fleet.Outcome o = train(job, ranks, stage);
        double matrices = 2 * 29 * 12 + 2 * (2 * 12 * 12 + 2 * 12 * 6 + 3 * 12 * 22);
        double vectors = 5 * 12;
        for (Partition.Memory m : o.memory()) {
            assertPart(2 * matrices + 4 * vectors, stage >= 3 ? ranks : 1, m.parameters());
            assertPart(2 * matrices + 4 * vectors, stage >= 2 ? ranks : 1, m.gradients());
            assertPart(12 * matrices + 8 * vectors, stage >= 1 ? ranks : 1, m.optimizer());
        }
    }

    private static void assertPart(double all, int parts, long bytes) {
        int cuts = 2 * 4 * 16 * 12; // two regions in each of four units, up to 16 elements each
        assertTrue(Math.abs(bytes - all / parts) <= 0.02 * all / parts + cuts, bytes + ", expected " + all / parts);
    }
}
