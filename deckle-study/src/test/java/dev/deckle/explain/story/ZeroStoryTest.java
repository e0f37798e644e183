package dev.deckle.explain.story;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Step;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/// The numbers of the story of ZeRO, against what follows from its definition.
class ZeroStoryTest {
    private final Explanation story = Parts.named("zero").orElseThrow().explain(Options.defaults());

    private Step step(String title) {
        return story.steps().stream().filter(s -> s.title().startsWith(title)).findFirst().orElseThrow();
    }

    private static List<Double> values(Step s, String name) {
        return s.tensors().get(name).values();
    }

    @Test
    void everyStageGivesTheSameBits() {
        Step result = story.steps().stream().filter(s -> s.kind() == Step.Kind.OUTPUT).findFirst().orElseThrow();
        assertEquals(List.of(0.0, 0.0, 0.0, 0.0), values(result, "difference"));
        // 2, 2, 2 and 3 times 100, of which stage 3 saves the second gather of the last layer
        assertEquals(List.of(200.0, 200.0, 200.0, 260.0), values(result, "elements"));
    }

    @Test
    void shardsAreEveryNumberOnce() {
        int[][] divided = {{}, {2}, {1, 2}, {0, 1, 2}};
        String[] kinds = {"parameters", "gradients", "optimizer"};
        for (int stage = 0; stage < 4; stage++) {
            Step held = step("Stage " + stage + ": bytes");
            for (int kind = 0; kind < 3; kind++) {
                int k = kind;
                int copies = IntStream.of(divided[stage]).anyMatch(d -> d == k) ? 1 : 4;
                assertEquals(copies * (kind == 2 ? 800 : 400),
                        values(held, kinds[kind]).stream().mapToDouble(b -> b).sum(), "stage " + stage);
            }
        }
    }

    /// The sum over ranks, and Adam's first step, which has the length of the rate.
    @Test
    void theFollowedParameterIsUpdatedByTheSumOverRanks() {
        for (int stage = 0; stage < 4; stage++) {
            Step sum =
                    step("Stage " + stage + ", backward: " + (stage == 0 ? "all_reduce" : "reduce_scatter") + " of 60");
            List<Double> own = values(sum, "g");
            float expected = own.getFirst().floatValue();
            for (int r = 1; r < 4; r++) {
                expected += own.get(r).floatValue();
            }
            assertEquals(expected, values(sum, "g after").get(2).floatValue());
            Step update = step("Stage " + stage + ": the update");
            double before = values(update, "w before").getFirst();
            assertEquals(before - 0.1 * Math.signum(expected), values(update, "w").getFirst(), 1e-6);
        }
        List<Double> sent = values(step("Stage 1, after the update: all_gather of 60"), "w");
        assertEquals(1, sent.stream().distinct().count());
    }

    @Test
    void theNotebooksErrorIsShown() {
        assertTrue(step("Why the notebook").note().contains("nothing behind this () tensor requires a gradient"));
    }
}
