package dev.deckle.x86;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Team;
import dev.deckle.x86.MatmulTest.Kind;
import dev.deckle.x86.emit.Isa;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/// What [MatmulTest] asks of the processor's kernels, of those with a model of the matrix unit, which is slow: products
/// that go to it and no others, each shape and each form once, paired at random.
class AmxMatmulTest {
    private static final List<Kind> KINDS = List.of(Kind.A_ROUNDED, Kind.BOTH_ROUNDED, Kind.HALVES,
            Kind.B_ROUNDED);
    private static final int[][] SHAPES = {
        {97, 100, 601}, {129, 257, 130}, {65, 129, 521}, {300, 65, 384}, {50, 40, 2502}, {67, 1000, 65},
    };

    private final AtomicInteger calls = new AtomicInteger();
    private Kernels kernels;

    @BeforeEach
    void open() {
        Cpu cpu = Cpu.detect();
        assumeTrue(cpu.avx512Bf16(), "the packing needs AVX512_BF16");
        AmxCode.Caller model = AmxModel.with(AmxModelTiles::new);
        Halves halves = Halves.proven(new AmxCode((f, a, b, c, d, e, g, h, i, j, k, l) -> {
            calls.incrementAndGet();
            return model.call(f, a, b, c, d, e, g, h, i, j, k, l);
        }));
        assertTrue(halves.amx());
        kernels = new X86Kernels(cpu, Isa.AVX512, halves);
    }

    private static List<Integer> shuffled(int n, Random random) {
        List<Integer> all = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            all.add(i);
        }
        Collections.shuffle(all, random);
        return all;
    }

    @Test
    void everyFormAndShape() {
        Random random = new Random(40);
        for (Kind kind : KINDS) {
            List<Integer> forms = shuffled(9, random);
            for (int i = 0; i < forms.size(); i++) {
                int[] s = SHAPES[i % SHAPES.length];
                int before = calls.get();
                MatmulTest.check(kernels, kind, s[0], s[1], s[2], forms.get(i) % 3, forms.get(i) / 3, random,
                        Team.shared());
                assertTrue(calls.get() > before, () -> kind + " " + Arrays.toString(s) + " goes to the unit");
            }
        }
    }

    @Test
    void sumsOfPartsOfK() {
        Random random = new Random(41);
        MatmulTest.check(kernels, Kind.BOTH_ROUNDED, 37, 33, 16_391, 1, 0, random, Team.shared());
        MatmulTest.check(kernels, Kind.A_ROUNDED, 37, 33, 16_391, 0, 0, random, Team.shared());
    }

    @Test
    void sameBitsForAnyTeam() {
        Random random = new Random(42);
        Team two = new Team(2);
        Team three = new Team(3);
        for (Kind kind : KINDS) {
            List<Integer> shapes = shuffled(SHAPES.length, random);
            for (int form = 0; form < 4; form++) {
                int[] s = SHAPES[shapes.get(form)];
                int[] one = MatmulTest.bits(kernels, kind, s[0], s[1], s[2], form, Team.serial());
                assertArrayEquals(one, MatmulTest.bits(kernels, kind, s[0], s[1], s[2], form, two));
                assertArrayEquals(one, MatmulTest.bits(kernels, kind, s[0], s[1], s[2], form, three));
            }
        }
    }

    @Test
    void callsAtOnceDoNotDisturbEachOther() throws Exception {
        try (var callers = Executors.newFixedThreadPool(3)) {
            List<Callable<Boolean>> all = new ArrayList<>();
            for (int i = 0; i < KINDS.size() * SHAPES.length; i++) {
                int[] s = SHAPES[i % SHAPES.length];
                int form = i % 4;
                Kind kind = KINDS.get(i / SHAPES.length);
                int[] expected = MatmulTest.bits(kernels, kind, s[0], s[1], s[2], form, Team.serial());
                all.add(() -> Arrays.equals(
                        expected, MatmulTest.bits(kernels, kind, s[0], s[1], s[2], form, Team.shared())));
            }
            int right = 0;
            for (var equal : callers.invokeAll(all)) {
                right += equal.get() ? 1 : 0;
            }
            assertEquals(all.size(), right);
        }
    }
}
