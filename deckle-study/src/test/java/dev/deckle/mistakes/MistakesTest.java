package dev.deckle.mistakes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.parity.GoldenCase;
import dev.deckle.parity.Parity;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/// Every mistake is found out by the golden cases, or by an input that shows it; every textbook version passes.
class MistakesTest {
    private static final Path GOLDEN = Path.of("src/test/resources/golden/components");
    private static final ModelMemory MEMORY = new ModelMemory();
    private static final List<GoldenCase> CASES = new ArrayList<>();

    @BeforeAll
    static void open() {
        Parity.files(GOLDEN).forEach(file -> CASES.add(GoldenCase.open(file, MEMORY)));
    }

    @AfterAll
    static void close() {
        MEMORY.close();
    }

    /// What is wrong with an attempt; empty if nothing is.
    private static String wrong(Attempt attempt) {
        return switch (attempt) {
            case Attempt.OnNumbers a -> a.passes() ? "" : "other numbers";
            case Attempt.OnGoldenCases(String component, var written) -> {
                List<GoldenCase> cases = CASES.stream().filter(c -> c.component().equals(component)).toList();
                assertFalse(cases.isEmpty(), "no golden case of " + component);
                yield cases.stream().map(c -> wrong(c, written)).filter(r -> !r.isEmpty()).findFirst().orElse("");
            }
        };
    }

    private static String wrong(GoldenCase golden, dev.deckle.parity.Component written) {
        try (Workspace _ = Workspace.open()) {
            return Parity.judge(golden, written, "scalar").reason(); // by numbers: it must not throw
        }
    }

    @TestFactory
    Stream<DynamicTest> everyTextbookVersionIsRight() {
        return Mistakes.exercises().stream().map(e -> DynamicTest.dynamicTest(e.part(),
                () -> e.textbook().forEach(a -> assertEquals("", wrong(a)))));
    }

    @Test
    void everyMistakeIsFoundOut() {
        List<Mistake> survivors = Mistakes.all().stream().filter(m -> wrong(m.attempt()).isEmpty()).toList();
        int total = Mistakes.all().size();
        System.out.println("mistakes found out: " + (total - survivors.size()) + " of " + total + " in "
                + Mistakes.exercises().size() + " parts");
        assertEquals("", survivors.stream().map(m -> m.part() + ": " + m.name()).collect(Collectors.joining(", ")));
    }

    @Test
    void everyPartHasMistakesWithNamesAndReasons() {
        Set<String> names = new HashSet<>();
        for (Exercise e : Mistakes.exercises()) {
            assertTrue(e.mistakes().size() >= 3, e.part());
            assertEquals(e.mistakes(), Mistakes.of(e.part()));
            for (Mistake m : e.mistakes()) {
                assertTrue(names.add(m.part() + " " + m.name()), m.part() + " " + m.name());
                assertTrue(m.name().matches("[a-z0-9]+(-[a-z0-9]+)*"), m.name());
                assertTrue(m.why().length() > 20 && !m.why().contains("\n"), m.name());
                assertEquals(e.part(), m.part());
            }
        }
        assertThrows(IllegalArgumentException.class, () -> Mistakes.of("no-such-part"));
    }

    /// Each component of the golden cases is also written by hand here.
    @Test
    void everyGoldenComponentHasATextbookVersion() {
        Set<String> written = Mistakes.exercises().stream()
                .flatMap(e -> e.textbook().stream())
                .filter(Attempt.OnGoldenCases.class::isInstance)
                .map(a -> ((Attempt.OnGoldenCases) a).component())
                .collect(Collectors.toCollection(TreeSet::new));
        Set<String> golden =
                CASES.stream().map(GoldenCase::component).collect(Collectors.toCollection(TreeSet::new));
        assertEquals(golden, written);
    }
}
