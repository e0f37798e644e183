package dev.deckle.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.generate.BeamSearch.EarlyStopping;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The search on tables small enough to check by hand. Against transformers it is checked where the models are.
class BeamSearchTest {
    private static final int END = 0;
    private static final int A = 1;
    private static final int B = 2;

    /// Probabilities of END, A and B after the last token.
    private static BeamSearch.NextTokens table(double[]... afterToken) {
        return (sequences, _) -> {
            float[][] rows = new float[sequences.size()][];
            for (int i = 0; i < rows.length; i++) {
                int[] ids = sequences.get(i);
                double[] p = afterToken[ids[ids.length - 1]];
                rows[i] = new float[p.length];
                for (int j = 0; j < p.length; j++) {
                    rows[i][j] = (float) Math.log(p[j]);
                }
            }
            return rows;
        };
    }

    private static final BeamSearch.NextTokens GARDEN_PATH = table(
            new double[] {1, 0, 0},
            new double[] {0.1, 0.4, 0.5}, // A looks best at first, and then leads nowhere
            new double[] {0.9, 0.05, 0.05});

    private static List<BeamSearch.Hypothesis> search(
            int beams, double penalty, EarlyStopping early, int most, List<BeamSearch.Step> steps) {
        return new BeamSearch(beams, penalty, early).search(GARDEN_PATH, new int[] {A}, most, Set.of(END), steps::add);
    }

    @Test
    void everyStepIsShown() {
        List<BeamSearch.Step> steps = new ArrayList<>();
        List<BeamSearch.Hypothesis> found = search(2, 1, EarlyStopping.FALSE, 5, steps);
        BeamSearch.Step first = steps.getFirst();
        assertEquals(1, first.newTokens());
        assertEquals(1, first.beams().size());
        assertEquals(List.of(B, A, END), first.candidates().stream().map(BeamSearch.Candidate::token).toList());
        assertEquals(List.of(false, false, true), first.candidates().stream().map(BeamSearch.Candidate::ends).toList());
        assertEquals(List.of(), first.finished(), "the end is third: only the first two may finish");
        assertArrayEquals(new int[] {A, B}, first.kept().get(0).ids());
        assertArrayEquals(new int[] {A, A}, first.kept().get(1).ids());

        BeamSearch.Step second = steps.get(1); // A B END .45, A A B .2, A A A .16, A A END .04
        assertEquals(Math.log(0.45), second.candidates().getFirst().logProb(), 1e-6);
        assertEquals(1, second.finished().size());
        assertEquals(Math.log(0.45) / 2, second.finished().getFirst().score(), 1e-6, "two tokens, the end counts");
        assertEquals(1, second.candidates().get(1).beam());
        assertArrayEquals(new int[] {A, A, B}, second.kept().getFirst().ids());
        assertArrayEquals(new int[] {A, B, END}, found.getFirst().ids());
        assertEquals(second.finished().getFirst().score(), found.getFirst().score());
    }

    /// A penalty above 0 favours the long one: .45 in two tokens against .18 in three.
    @ParameterizedTest
    @CsvSource({"-1, 2", "0, 2", "1, 2", "2, 3", "5, 3"})
    void thePenaltyDecidesAboutLength(double penalty, int newTokens) {
        BeamSearch.Hypothesis best = search(2, penalty, EarlyStopping.NEVER, 3, new ArrayList<>()).getFirst();
        assertEquals(1 + newTokens, best.ids().length);
        double p = newTokens == 2 ? 0.45 : 0.4 * 0.5 * 0.9;
        assertEquals(Math.log(p) / Math.pow(newTokens, penalty), best.score(), 1e-6);
    }

    /// One beam, penalty 3: .45 is finished after two tokens. A beam that ended now would be worse, one that ended at
    /// the greatest length could be better.
    @ParameterizedTest
    @CsvSource({"FALSE, 2", "TRUE, 2", "NEVER, 9"})
    void theBoundDecidesWhenToStop(EarlyStopping early, int steps) {
        List<BeamSearch.Step> seen = new ArrayList<>();
        search(1, 3, early, 9, seen);
        assertEquals(steps, seen.size());
    }

    /// Two are finished after two steps, and a likelier beam is still going.
    @ParameterizedTest
    @CsvSource({"FALSE, 7, -0.5108", "TRUE, 2, -0.7136", "NEVER, 7, -0.5108"})
    void enoughMayBeFinishedWhileALikelierOneGoesOn(EarlyStopping early, int steps, double best) {
        List<BeamSearch.Step> seen = new ArrayList<>();
        BeamSearch.NextTokens steady = table(new double[] {1, 0}, new double[] {0.4, 0.6});
        List<BeamSearch.Hypothesis> found =
                new BeamSearch(2, 1, early).search(steady, new int[] {A}, 7, Set.of(END), seen::add);
        assertEquals(steps, seen.size());
        assertEquals(best, found.getFirst().score(), 1e-4);
    }

    /// With as many beams as there are sequences the search is exhaustive, and so right.
    @Test
    void enoughBeamsFindTheBestOfAll() {
        double[][] p = {{1, 0, 0}, {0.2, 0.3, 0.5}, {0.15, 0.6, 0.25}};
        List<int[]> all = new ArrayList<>();
        extend(new int[] {B}, 4, all);
        double best = all.stream().mapToDouble(ids -> {
            double sum = 0;
            for (int i = 1; i < ids.length; i++) {
                sum += (float) Math.log(p[ids[i - 1]][ids[i]]);
            }
            return sum / Math.pow(ids.length - 1, 0.7);
        }).max().orElseThrow();
        List<BeamSearch.Hypothesis> found = new BeamSearch(40, 0.7, EarlyStopping.NEVER)
                .search(table(p), new int[] {B}, 4, Set.of(END), _ -> {});
        assertEquals(best, found.getFirst().score(), 1e-9);
        assertEquals(all.size(), found.size());
        assertEquals(all.size(), new HashSet<>(found.stream().map(h -> Arrays.toString(h.ids())).toList()).size());
        for (int i = 1; i < found.size(); i++) {
            assertTrue(found.get(i - 1).score() >= found.get(i).score());
        }
    }

    private static void extend(int[] ids, int more, List<int[]> all) {
        if (more == 0 || ids[ids.length - 1] == END) {
            all.add(ids);
            return;
        }
        for (int token = 0; token < 3; token++) {
            int[] longer = Arrays.copyOf(ids, ids.length + 1);
            longer[ids.length] = token;
            extend(longer, more - 1, all);
        }
    }

    @Test
    void parentsNameTheRowsOfTheCallBefore() {
        List<int[]> last = new ArrayList<>();
        new BeamSearch(3, 1, EarlyStopping.NEVER).search((sequences, parents) -> {
            for (int i = 0; i < parents.length && !last.isEmpty(); i++) {
                int[] ids = sequences.get(i);
                assertArrayEquals(last.get(parents[i]), Arrays.copyOf(ids, ids.length - 1));
            }
            last.clear();
            last.addAll(sequences);
            return GARDEN_PATH.logProbs(sequences, parents);
        }, new int[] {A}, 6, Set.of(END), _ -> {});
        assertTrue(last.getFirst().length > 3, "there were no calls to compare");
    }

    @Test
    void theEdges() {
        assertEquals(0, search(3, 1, EarlyStopping.FALSE, 0, new ArrayList<>()).getFirst().score());
        assertArrayEquals(new int[] {A}, search(3, 1, EarlyStopping.FALSE, 0, new ArrayList<>()).getFirst().ids());
        assertEquals(1, search(1, 1, EarlyStopping.FALSE, 1, new ArrayList<>()).size());
        assertThrows(IllegalArgumentException.class, () -> new BeamSearch(0, 1, EarlyStopping.TRUE));
        assertThrows(IllegalArgumentException.class, () -> new BeamSearch(1, Double.NaN, EarlyStopping.TRUE));
    }
}
