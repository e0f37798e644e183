package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import dev.deckle.parity.Config;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/// PyTorch's random stream: the Mersenne Twister (Matsumoto and Nishimura 1998) and what is made of its bits.
public final class RandomMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        NO_TEMPERING("the state's words are given out as they are: the four shifts at the end are left out"),
        HIGH_BITS_FOR_FLOATS("the upper 24 bits in place of the lower: as good, but another stream"),
        DOUBLES_FOR_FLOATS("floats are made of 53 bits: two words for each, so everything after it is shifted"),
        INTEGERS_BY_SCALING("floor(u n) in place of the remainder: as good, but other numbers"),
        SHUFFLED_FROM_THE_BACK("Fisher and Yates from the end, as in textbooks: PyTorch goes from the front"),
        NORMALS_IN_PAIRS("cosine and sine beside each other: PyTorch puts them 8 apart in blocks of 16"),
        LAST_BLOCK_NOT_REDRAWN("a rest of fewer than 16 is drawn by itself: PyTorch draws the last 16 anew"),
        BIAS_BEFORE_WEIGHT("a layer's bias is drawn first: from the same seed another network");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private final int[] state = new int[624];
    private final Slip slip;
    private int at = state.length;
    private double spare = Double.NaN; // the second normal number of a pair, if it is still to be given out

    /// The stream of a seed.
    public RandomMistakes(int seed, Slip slip) {
        this.slip = slip;
        state[0] = seed;
        for (int i = 1; i < state.length; i++) {
            state[i] = 1_812_433_253 * (state[i - 1] ^ state[i - 1] >>> 30) + i;
        }
    }

    /// 32 bits.
    public int bits() {
        if (at == state.length) {
            for (int i = 0; i < state.length; i++) {
                int joined = state[i] & 0x80000000 | state[(i + 1) % 624] & 0x7fffffff;
                state[i] = state[(i + 397) % 624] ^ joined >>> 1 ^ (joined % 2 == 0 ? 0 : 0x9908b0df);
            }
            at = 0;
        }
        int y = state[at++];
        if (slip == Slip.NO_TEMPERING) {
            return y;
        }
        y ^= y >>> 11;
        y ^= y << 7 & 0x9d2c5680;
        y ^= y << 15 & 0xefc60000;
        return y ^ y >>> 18;
    }

    /// Uniform in [0, 1).
    public float uniform() {
        return switch (slip) {
            case HIGH_BITS_FOR_FLOATS -> (bits() >>> 8) * 0x1p-24f;
            case DOUBLES_FOR_FLOATS -> (float) uniformDouble();
            default -> (bits() & 0xffffff) * 0x1p-24f;
        };
    }

    private double uniformDouble() {
        long high = bits();
        return ((high << 32 | bits() & 0xffffffffL) & (1L << 53) - 1) * 0x1p-53;
    }

    /// An integer in 0..n-1.
    public long integer(long n) {
        return slip == Slip.INTEGERS_BY_SCALING ? (long) (uniform() * n) : Integer.toUnsignedLong(bits()) % n;
    }

    /// 0..n-1 in random order.
    public long[] permutation(int n) {
        long[] order = LongStream.range(0, n).toArray();
        for (int step = 0; step < n - 1; step++) {
            boolean back = slip == Slip.SHUFFLED_FROM_THE_BACK;
            int i = back ? n - 1 - step : step;
            int j = back ? (int) integer(i + 1) : step + (int) integer(n - step);
            long swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
        return order;
    }

    /// Normal numbers of mean 0 and deviation 1.
    public double[] normals(int n) {
        double[] z = new double[n];
        if (n < 16) {
            for (int i = 0; i < n; i++) {
                z[i] = normal();
            }
            return z;
        }
        for (int i = 0; i < n; i++) {
            z[i] = uniform();
        }
        int whole = n / 16 * 16;
        for (int from = 0; from < whole; from += 16) {
            boxMuller(z, from);
        }
        if (n % 16 != 0 && slip == Slip.LAST_BLOCK_NOT_REDRAWN) {
            System.arraycopy(new RandomMistakes(bits(), slip).normals(n - whole), 0, z, whole, n - whole);
        } else if (n % 16 != 0) {
            for (int i = n - 16; i < n; i++) {
                z[i] = uniform();
            }
            boxMuller(z, n - 16);
        }
        return z;
    }

    private void boxMuller(double[] z, int from) {
        double[] u = Arrays.copyOfRange(z, from, from + 16);
        boolean pairs = slip == Slip.NORMALS_IN_PAIRS;
        for (int i = 0; i < 8; i++) {
            int first = pairs ? 2 * i : i;
            int second = pairs ? 2 * i + 1 : i + 8;
            float radius = (float) Math.sqrt(-2 * (float) Math.log(1 - (float) u[first]));
            float angle = (float) (2 * Math.PI) * (float) u[second];
            z[from + first] = radius * (float) Math.cos(angle);
            z[from + second] = radius * (float) Math.sin(angle);
        }
    }

    private double normal() {
        if (!Double.isNaN(spare)) {
            double z = spare;
            spare = Double.NaN;
            return z;
        }
        double u1 = uniformDouble();
        double radius = Math.sqrt(-2 * Math.log1p(-uniformDouble()));
        spare = radius * Math.sin(2 * Math.PI * u1);
        return radius * Math.cos(2 * Math.PI * u1);
    }

    /// Uniform in [-bound, bound).
    private float[] within(float bound, int n) {
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = Math.fma(uniform(), bound + bound, -bound);
        }
        return x;
    }

    static List<Exercise> exercises() {
        return List.of(Exercise.of("random-stream").golden("torch_generator", RandomMistakes::drawn, Slip.NONE,
                List.of(Slip.NO_TEMPERING, Slip.HIGH_BITS_FOR_FLOATS, Slip.DOUBLES_FOR_FLOATS,
                        Slip.INTEGERS_BY_SCALING, Slip.SHUFFLED_FROM_THE_BACK, Slip.NORMALS_IN_PAIRS,
                        Slip.LAST_BLOCK_NOT_REDRAWN, Slip.BIAS_BEFORE_WEIGHT)));
    }

    private static Component drawn(Slip slip) {
        return r -> {
            RandomMistakes g = new RandomMistakes(r.config().integer("seed"), slip);
            Map<String, Tensor> out = new LinkedHashMap<>();
            for (String order : r.config().texts("order")) {
                String[] words = order.split(" ");
                int[] n = Arrays.stream(words).skip(1).mapToInt(Integer::parseInt).toArray();
                int last = n[n.length - 1];
                switch (words[0]) {
                    case "randn" -> out.put(r.expects("randn" + last) ? "randn" + last : "randn_after",
                            Tensor.of(g.normals(last), last).to(DType.F32));
                    case "rand" -> out.put("rand" + last, Tensor.of(g.floats(last), last));
                    case "randint" -> out.put("randint" + last, Tensor.of(LongStream.generate(
                            () -> n[0] + g.integer(n[1] - n[0])).limit(last).toArray(), last));
                    case "randperm" -> out.put("randperm" + last, Tensor.of(g.permutation(last), last));
                    case "linear" -> g.linear(n[0], n[1], out);
                    default -> throw Config.unknown("order", order);
                }
            }
            return out;
        };
    }

    private float[] floats(int n) {
        float[] x = new float[n];
        for (int i = 0; i < n; i++) {
            x[i] = uniform();
        }
        return x;
    }

    /// What `nn.Linear(in, outputs)` draws.
    private void linear(int in, int outputs, Map<String, Tensor> out) {
        float bound = (float) (1 / Math.sqrt(in));
        float[] first = slip == Slip.BIAS_BEFORE_WEIGHT ? within(bound, outputs) : new float[0];
        out.put("linear_weight", Tensor.of(within(bound, in * outputs), outputs, in));
        out.put("linear_bias", Tensor.of(first.length > 0 ? first : within(bound, outputs), outputs));
    }
}
