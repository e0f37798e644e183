package dev.deckle.explain.story;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.explain.Step;
import dev.deckle.tensor.Tensor;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// Every story can be told, whatever the reader's numbers are, and has what a reader needs.
class StoriesTest {
    private static Stream<DynamicTest> forEachPart(java.util.function.Consumer<Part> check) {
        return Parts.all().stream().map(p -> DynamicTest.dynamicTest(p.name(), () -> check.accept(p)));
    }

    private static Options seed(long seed) {
        return new Options(seed, OptionalInt.empty(), OptionalInt.empty(), Optional.empty());
    }

    private static Options heads(int heads, int kvHeads) {
        return new Options(42, OptionalInt.of(heads), kvHeads == 0 ? OptionalInt.empty() : OptionalInt.of(kvHeads),
                Optional.empty());
    }

    private static Options values(Double... values) {
        return new Options(42, OptionalInt.empty(), OptionalInt.empty(), Optional.of(List.of(values)));
    }

    @TestFactory
    Stream<DynamicTest> tellsInputsResultAndMistake() {
        return forEachPart(part -> {
            Explanation e = part.explain(Options.defaults());
            assertEquals(part.name(), e.name());
            assertEquals(Step.Kind.INPUT, e.steps().getFirst().kind());
            assertTrue(e.steps().stream().anyMatch(s -> s.kind() == Step.Kind.OUTPUT), "no result");
            assertEquals(1, e.steps().stream().filter(s -> s.kind() == Step.Kind.MISTAKE).count());
            for (Step s : e.steps()) {
                assertFalse(s.title().isBlank());
                assertFalse(s.kind() != Step.Kind.MISTAKE && s.tensors()
                        .values()
                        .stream()
                        .anyMatch(v -> v.values().stream().anyMatch(d -> d.isNaN())), s.title() + " is not a number");
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> theMistakeGivesAnotherNumber() {
        return forEachPart(part -> {
            Step s = part.explain(Options.defaults()).steps().getLast();
            assertEquals(Step.Kind.MISTAKE, s.kind(), "the mistake comes last");
            if (s.tensors().containsKey("right")) {
                assertNotEquals(s.tensors().get("right").values(), s.tensors().get("wrong").values());
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> takesOtherSeeds() {
        return forEachPart(part -> {
            Set<List<Step>> told = new HashSet<>();
            for (long seed = 0; seed < 4; seed++) {
                told.add(part.explain(seed(seed)).steps());
            }
            assertEquals(part.takes().contains("seed") ? 4 : 1, told.size());
        });
    }

    @TestFactory
    Stream<DynamicTest> takesOtherHeads() {
        return forEachPart(part -> {
            if (part.takes().contains("heads")) {
                assertNotEquals(part.explain(heads(6, 0)).steps(), part.explain(heads(2, 0)).steps());
                assertThrows(IllegalArgumentException.class, () -> part.explain(heads(0, 0)));
            }
        });
    }

    @TestFactory
    Stream<DynamicTest> takesOtherValues() {
        return forEachPart(part -> {
            if (part.takes().contains("values")) {
                boolean told =
                        Stream.of(values(0.5), values(0.5, 1.5), values(1.0, 2.0, 3.0), values(3.0, 1.0, 2.0, 4.0))
                                .anyMatch(v -> canBeTold(part, v));
                assertTrue(told);
            }
        });
    }

    /// Or says in one line that names the flag what it expects.
    private static boolean canBeTold(Part part, Options options) {
        try {
            part.explain(options);
            return true;
        } catch (IllegalArgumentException e) {
            assertTrue(e.getMessage().startsWith("--values"), e.getMessage());
            return false;
        }
    }

    @Test
    void sharesKeyHeadsAmongQueryHeads() {
        Explanation e = Parts.named("gqa").orElseThrow().explain(heads(6, 3));
        Step k = e.steps().stream().filter(s -> s.tensors().containsKey("k")).findFirst().orElseThrow();
        assertEquals(List.of(1, 3, 3, 2), k.tensors().get("k").shape());
        Step weights = e.steps().stream().filter(s -> s.tensors().containsKey("weights")).findFirst().orElseThrow();
        assertEquals(List.of(1, 6, 3, 3), weights.tensors().get("weights").shape());
        var bad = assertThrows(IllegalArgumentException.class,
                () -> Parts.named("gqa").orElseThrow().explain(heads(6, 4)));
        assertEquals("--kv-heads 4: a divisor of the 6 query heads is expected", bad.getMessage());
    }

    @Test
    void endsWithTheNotebooksNumber() {
        Explanation e = Parts.named("online-softmax").orElseThrow().explain(Options.defaults());
        Step result = e.steps().stream().filter(s -> s.kind() == Step.Kind.OUTPUT).findFirst().orElseThrow();
        assertEquals(9.78002879, result.tensors().get("y").values().getFirst(), 5e-9);
    }

    @Test
    void namesAreUnique() {
        assertEquals(Parts.all().size(), Parts.all().stream().map(Part::name).distinct().count());
    }

    @Test
    void aStoryThatNoLongerFitsItsClassFails() {
        Story story = new Story("x", "X", "");
        story.watch(() -> Tensor.scalar(2).exp());
        story.then("exp", "y", "the exponential", "e^x");
        var gone = assertThrows(IllegalStateException.class, () -> story.then("log", "z", "the logarithm", "log y"));
        assertTrue(gone.getMessage().contains("waits for an operation log"), gone.getMessage());
    }
}
