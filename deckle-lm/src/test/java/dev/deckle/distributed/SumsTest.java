package dev.deckle.distributed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Door;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// What the checks of the verbs do not reach: special numbers, odd places, every source as the target.
class SumsTest {
    private static final int ALL = 1 << 16;

    private static short bits(long address, int i) {
        return Native.ALL.get(ValueLayout.JAVA_SHORT, address + 2L * i);
    }

    private static void random(Random r, Tensor x) {
        for (int i = 0; i < x.numel(); i++) {
            Native.ALL.set(ValueLayout.JAVA_SHORT, x.address() + 2L * i, (short) r.nextInt());
        }
    }

    /// Every number of BF16 and every NaN, with random others.
    @Test
    void bf16IsSummedInF32AndRoundedOnce() {
        Random r = new Random(3);
        Tensor x = Tensor.empty(DType.BF16, Shape.of(ALL));
        for (int i = 0; i < ALL; i++) {
            Native.ALL.set(ValueLayout.JAVA_SHORT, x.address() + 2L * i, (short) i);
        }
        for (int ranks = 1; ranks <= 4; ranks++) {
            long[] sources = new long[ranks];
            Tensor[] keep = new Tensor[ranks];
            for (int k = 0; k < ranks; k++) {
                keep[k] = k == 0 ? x : Tensor.empty(DType.BF16, Shape.of(ALL));
                if (k > 0) {
                    random(r, keep[k]);
                }
                sources[k] = keep[k].address();
            }
            Tensor y = Tensor.empty(DType.BF16, Shape.of(ALL));
            new Sums(Door.current()).add(DType.BF16, sources, y.address(), ALL);
            for (int i = 0; i < ALL; i++) {
                float sum = Bf16.get(sources[0] + 2L * i);
                for (int k = 1; k < ranks; k++) {
                    sum += Bf16.get(sources[k] + 2L * i);
                }
                if (Float.isNaN(sum)) { // which NaN is the processor's choice
                    assertTrue(Float.isNaN(Bf16.get(y.address() + 2L * i)), "NaN at " + i);
                } else {
                    assertEquals(Bf16.of(sum), bits(y.address(), i), "at " + i);
                }
            }
        }
    }

    @Test
    void everySourceMayBeTheTarget() {
        for (int length : new int[] {1, 2, 3, 4095, 4096, 4097, 9001}) {
            for (int target = 0; target < 3; target++) {
                for (int odd = 0; odd < 2; odd++) {
                    Tensor[] keep = new Tensor[3];
                    long[] sources = new long[3];
                    float[] expected = new float[length];
                    for (int k = 0; k < 3; k++) {
                        keep[k] = Tensor.empty(DType.BF16, Shape.of(length + 2));
                        sources[k] = keep[k].address() + 2L * odd; // not where an int could be
                        for (int i = 0; i < length + 2; i++) {
                            float value = (float) Math.scalb(1.0 + (i * 31 + k * 7) % 100 / 128.0, (i + 5 * k) % 11);
                            Bf16.set(keep[k].address() + 2L * i, value);
                        }
                        for (int i = 0; i < length; i++) {
                            expected[i] += Bf16.get(sources[k] + 2L * i);
                        }
                    }
                    short after = bits(sources[target], length);
                    new Sums(Door.current()).add(DType.BF16, sources, sources[target], length);
                    for (int i = 0; i < length; i++) {
                        assertEquals(Bf16.of(expected[i]), bits(sources[target], i), length + " at " + i);
                    }
                    assertEquals(after, bits(sources[target], length), "what lies behind it");
                }
            }
        }
    }

    @Test
    void whatIsNotSummedIsRefused() {
        var e = assertThrows(IllegalArgumentException.class, () -> new Sums(Door.current()).add(DType.F16, new long[] {
            1, 2}, 3, 1));
        assertEquals("F16 is not summed", e.getMessage());
    }
}
