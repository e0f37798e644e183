package dev.deckle.random;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

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
