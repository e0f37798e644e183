package dev.deckle.random;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.deckle.tensor.Tensor;
import org.junit.jupiter.api.Test;

/// Against numbers that PyTorch 2.13 printed, which its recipe in the comments repeats.
class GeneratorTest {
    @Test
    void uniform() {
        // torch.manual_seed(42); torch.rand(3)
        assertArrayEquals(new float[] {0.8822692632675171f, 0.9150039553642273f, 0.38286375999450684f},
                new Generator(42).rand(3).toFloats());
    }

    @Test
    void normalOneByOne() {
        // torch.manual_seed(42); torch.randn(4, 3)
        assertArrayEquals(NORMAL_12, new Generator(42).randn(4, 3).toFloats(), 1e-6f);
    }

    @Test
    void normalInBlocks() {
        // torch.manual_seed(42); torch.randn(19)
        assertArrayEquals(NORMAL_19, new Generator(42).randn(19).toFloats(), 1e-6f);
    }

    @Test
    void normalToTheLastBit() {
        // torch.manual_seed(5); torch.randn(100003): the bits of all numbers, hashed with h = 31 h + bits
        assertEquals(847661618, hash(new Generator(5).randn(100_003)));
        // torch.manual_seed(3); torch.empty(37).normal_(0.5, 0.02)
        Tensor t = Tensor.zeros(37);
        new Generator(3).normal(t, 0.5, 0.02);
        assertEquals(1328845068, hash(t));
    }

    private static int hash(Tensor t) {
        int h = 0;
        for (float f : t.toFloats()) {
            h = 31 * h + Float.floatToRawIntBits(f);
        }
        return h;
    }

    @Test
    void integers() {
        // torch.manual_seed(7); torch.randint(0, 1000, (5,))
        Generator g = new Generator(7);
        long[] drawn = new long[5];
        for (int i = 0; i < 5; i++) {
            drawn[i] = g.nextInt(1000);
        }
        assertArrayEquals(INTEGERS, drawn);
    }

    @Test
    void wideIntegersTake64Bits() {
        // torch.manual_seed(7); torch.randint(0, (1 << 30) + 5, (3,)); torch.rand(1); the same with 2^28, below it, -5
        assertArrayEquals(new long[] {864032566, 947454264, 902108215},
                new Generator(7).randint(0, (1 << 30) + 5, 3).toLongs());
        assertArrayEquals(new long[] {171107524, 27798006, 174903507},
                new Generator(7).randint(0, 1 << 28, 3).toLongs());
        assertArrayEquals(new long[] {59306160, 171107527, 128500261},
                new Generator(7).randint(0, (1 << 28) - 1, 3).toLongs());
        assertArrayEquals(new long[] {3632673113L, 6096183181L, 7671570830L},
                new Generator(7).randint(-5, (1L << 33) + 5, 3).toLongs());
    }

    @Test
    void permutations() {
        // torch.manual_seed(7); torch.randperm(9), torch.rand(1)
        Generator g = new Generator(7);
        assertArrayEquals(new long[] {0, 5, 8, 1, 7, 2, 3, 6, 4}, g.randperm(9).toLongs());
        assertEquals(0.36531615257263184f, g.nextFloat());
    }

    @Test
    void coins() {
        // torch.manual_seed(7); torch.bernoulli(p), torch.rand(1); torch.empty(12).bernoulli_(0.4), torch.rand(1)
        Generator g = new Generator(7);
        assertArrayEquals(new float[] {0, 1, 1, 0, 1, 1, 1, 0}, g.bernoulli(P).toFloats());
        assertEquals(0.36531615257263184f, g.nextFloat());
        g = new Generator(7);
        assertArrayEquals(new float[] {1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1}, g.bernoulli(0.4, 12).toFloats());
        assertEquals(0.5209300518035889f, g.nextFloat());
        assertThrows(IllegalArgumentException.class, () -> new Generator(1).bernoulli(1.5, 3));
    }

    @Test
    void uniformBetweenBounds() {
        // torch.manual_seed(7); torch.empty(3).uniform_(-2, 3)
        Tensor t = Tensor.zeros(3);
        new Generator(7).uniform(t, -2, 3);
        assertArrayEquals(new float[] {0.6746127009391785f, -1.0059840679168701f, 1.2960584163665771f}, t.toFloats());
    }

    @Test
    void drawsByWeight() {
        // torch.manual_seed(7); torch.multinomial(p, 1), torch.rand(1); multinomial(p, 4); the same with replacement, 6
        Generator g = new Generator(7);
        assertArrayEquals(new long[] {1}, g.multinomial(P, 1, false).toLongs());
        assertEquals(0.720380425453186f, g.nextFloat());
        assertArrayEquals(new long[] {1, 6, 2, 0}, new Generator(7).multinomial(P, 4, false).toLongs());
        g = new Generator(7);
        assertArrayEquals(new long[] {2, 2, 6, 4, 6, 6}, g.multinomial(P, 6, true).toLongs());
        assertEquals(0.28683900833129883f, g.nextFloat());
        // torch.manual_seed(7); torch.multinomial(p, 1, replacement=True)
        assertArrayEquals(new long[] {1}, new Generator(7).multinomial(P, 1, true).toLongs());
        // torch.manual_seed(7); torch.empty(5).exponential_()
        assertArrayEquals(new float[] {0.3276439309120178f, 0.319783478975296f, 1.981175422668457f,
            1.0691168308258057f, 2.557856321334839f}, new Generator(7).exponential(5).toFloats(), 1e-6f);
    }

    @Test
    void refusesWhatCannotBeDrawn() {
        Generator g = new Generator(1);
        Tensor two = Tensor.of(new float[] {0, 1, 2, 0});
        assertThrows(IllegalArgumentException.class, () -> g.multinomial(two, 3, false));
        assertThrows(IllegalArgumentException.class, () -> g.multinomial(Tensor.zeros(3), 1, true));
        assertThrows(IllegalArgumentException.class, () -> g.multinomial(Tensor.of(new float[] {1, -1}), 1, true));
        assertThrows(IllegalArgumentException.class, () -> g.randint(3, 3, 1));
        for (int i = 0; i < 50; i++) {
            for (long drawn : g.multinomial(two, 4, true).toLongs()) {
                assertEquals(1.5, drawn, 0.5);
            }
        }
    }

    @Test
    void goesOnFromASavedState() {
        Generator g = new Generator(3);
        g.nextNormal();
        g.rand(700);
        Generator h = Generator.restore(g.save());
        for (int i = 0; i < 1000; i++) {
            assertEquals(g.nextNormal(), h.nextNormal());
            assertEquals(g.nextInt(), h.nextInt());
        }
        assertThrows(IllegalArgumentException.class, () -> Generator.restore(new long[3]));
    }

    private static final Tensor P = Tensor.of(new float[] {.1f, .5f, .9f, .3f, .7f, .5f, .5f, .2f});
    private static final float[] NORMAL_12 = {
        0.33669036626815796f, 0.12880940735340118f, 0.23446236550807953f, 0.23033303022384644f,
        -1.1228563785552979f, -0.18632829189300537f, 2.2082014083862305f, -0.637997031211853f,
        0.46165722608566284f, 0.2673508822917938f, 0.5349046587944031f, 0.809357225894928f
    };
    private static final float[] NORMAL_19 = {
        1.9269152879714966f, 1.4872840642929077f, 0.9007171988487244f, 0.439589262008667f,
        -0.7581311464309692f, 1.078317642211914f, 0.8008005619049072f, 1.680620551109314f,
        0.3558599054813385f, -0.6866229772567749f, -0.4933563470840454f, 1.334737777709961f,
        -0.2316243201494217f, 0.041759490966796875f, -0.2515752911567688f, 0.859858512878418f,
        -0.3097267746925354f, -0.3957104980945587f, 0.8034093379974365f
    };
    private static final long[] INTEGERS = {615, 892, 721, 286, 283};
}
