package dev.deckle.random;

import dev.deckle.compute.Elements;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/// PyTorch's CPU random stream: the Mersenne Twister MT19937 with PyTorch's ways of making uniform, normal and other
/// numbers of it, so that the same seed gives the same numbers. Not safe for several threads.
///
/// - **Formula**: u = (word mod 2^24) / 2^24. Normal numbers by pairs: for 16 and more in blocks that pair j with j +
///   8, sqrt(-2 log(1 - u_j)) cos(2 pi u_(j+8)); fewer by doubles, of which the first is the angle
/// - **Shapes**: any
/// - **Cost**: 624 words of state, stirred once in 624 draws
/// - **Source**: Matsumoto and Nishimura 1998; Box and Muller 1958
/// - **PyTorch**: `torch.manual_seed`, `rand`, `randn`, `randint`, `randperm`, `bernoulli`, `multinomial`, `normal_`,
///   `uniform_`
/// - **Classic mistake**: taking the upper bits for a float, or one normal number at a time for long vectors
public final class Generator {
    private static final int N = 624;
    private static final int M = 397;
    /// Uniform numbers of which a block of normal ones is made.
    private static final int BLOCK = 16;
    /// Blocks that a thread makes at a time, once their numbers are drawn.
    private static final int SHARE = 4096;

    private final int[] state = new int[N];
    private int next;
    private double spare; // the second number of a Box-Muller pair
    private boolean hasSpare;

    /// As `torch.manual_seed(seed)`.
    public Generator(long seed) {
        state[0] = (int) seed;
        for (int i = 1; i < N; i++) {
            state[i] = 1812433253 * (state[i - 1] ^ state[i - 1] >>> 30) + i;
        }
        next = N;
    }

    private Generator(int[] words, int next, boolean hasSpare, double spare) {
        System.arraycopy(words, 0, state, 0, N);
        this.next = next;
        this.hasSpare = hasSpare;
        this.spare = spare;
    }

    /// Everything needed to go on from here: 624 words of state, the position, and the spare normal number.
    public long[] save() {
        long[] saved = new long[N + 3];
        for (int i = 0; i < N; i++) {
            saved[i] = state[i] & 0xFFFFFFFFL;
        }
        saved[N] = next;
        saved[N + 1] = hasSpare ? 1 : 0;
        saved[N + 2] = Double.doubleToRawLongBits(spare);
        return saved;
    }

    /// The generator that [#save()] described.
    public static Generator restore(long[] saved) {
        if (saved.length != N + 3 || saved[N] < 0 || saved[N] > N) {
            throw new IllegalArgumentException("a generator's state is " + (N + 3) + " numbers, not " + saved.length);
        }
        int[] words = Arrays.stream(saved, 0, N).mapToInt(w -> (int) w).toArray();
        return new Generator(words, (int) saved[N], saved[N + 1] != 0, Double.longBitsToDouble(saved[N + 2]));
    }

    /// 32 random bits.
    public int nextInt() {
        if (next == N) {
            twist();
        }
        int y = state[next++];
        y ^= y >>> 11;
        y ^= y << 7 & 0x9d2c5680;
        y ^= y << 15 & 0xefc60000;
        return y ^ y >>> 18;
    }

    private void twist() {
        for (int i = 0; i < N; i++) {
            int y = state[i] & 0x80000000 | state[i + 1 < N ? i + 1 : 0] & 0x7fffffff;
            state[i] = state[i + M < N ? i + M : i + M - N] ^ y >>> 1 ^ ((y & 1) == 0 ? 0 : 0x9908b0df);
        }
        next = 0;
    }

    /// 64 random bits, the first 32 on top.
    public long nextLong() {
        long high = nextInt();
        return high << 32 | nextInt() & 0xFFFFFFFFL;
    }

    /// A float in [0, 1), of 24 bits.
    public float nextFloat() {
        return (nextInt() & 0xFFFFFF) * 0x1p-24f;
    }

    /// A double in [0, 1), of 53 bits.
    public double nextDouble() {
        return (nextLong() & (1L << 53) - 1) * 0x1p-53;
    }

    /// An integer in 0..bound-1, by the remainder, as PyTorch's `randint` does: from 2^28 on of 64 bits.
    public long nextInt(long bound) {
        if (bound < 1) {
            throw new IllegalArgumentException("a random integer needs a bound of at least 1, not " + bound);
        }
        return bound >= 1L << 28 ? Long.remainderUnsigned(nextLong(), bound) : (nextInt() & 0xFFFFFFFFL) % bound;
    }

    /// F32 numbers uniform in [0, 1): `torch.rand`.
    public Tensor rand(int... dims) {
        Tensor t = Tensor.empty(DType.F32, Shape.of(dims));
        uniform(t, 0, 1);
        return t;
    }

    /// Fills an F32 tensor with numbers uniform in [low, high): `Tensor.uniform_`.
    public void uniform(Tensor t, double low, double high) {
        float width = (float) high - (float) low;
        long n = t.numel();
        long at = t.address();
        for (long i = 0; i < n; i++) {
            Native.setFloat(at + 4 * i, Math.fma(nextFloat(), width, (float) low)); // rounded once
        }
        Reference.reachabilityFence(t);
    }

    /// I64 integers in low..high-1: `torch.randint`.
    public Tensor randint(long low, long high, int... dims) {
        Tensor t = Tensor.empty(DType.I64, Shape.of(dims));
        for (long i = 0; i < t.numel(); i++) {
            Elements.setLong(DType.I64, t.address(), i, low + nextInt(high - low));
        }
        return t;
    }

    /// The numbers 0..n-1 (I64) in random order, by Fisher and Yates from the front: `torch.randperm`.
    public Tensor randperm(int n) {
        long[] order = LongStream.range(0, n).toArray();
        for (int i = 0; i < n - 1; i++) {
            int j = i + (int) ((nextInt() & 0xFFFFFFFFL) % (n - i));
            long swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
        return Tensor.of(order, n);
    }

    /// 1 with probability p, else 0 (F32): `torch.empty(dims).bernoulli_(p)`, which dropout draws its mask from.
    public Tensor bernoulli(double p, int... dims) {
        requireProbability(p);
        Tensor t = Tensor.empty(DType.F32, Shape.of(dims));
        for (long i = 0; i < t.numel(); i++) {
            Elements.set(DType.F32, t.address(), i, nextDouble() < p ? 1 : 0);
        }
        return t;
    }

    /// 1 with each element's own probability, else 0: `torch.bernoulli(p)`, which draws floats where the form above
    /// draws doubles.
    public Tensor bernoulli(Tensor p) {
        float[] drawn = p.toFloats();
        for (int i = 0; i < drawn.length; i++) {
            requireProbability(drawn[i]);
            drawn[i] = nextFloat() < drawn[i] ? 1 : 0;
        }
        return Tensor.of(drawn, drawn.length).reshape(p.shape());
    }

    private static void requireProbability(double p) {
        if (!(p >= 0 && p <= 1)) {
            throw new IllegalArgumentException("a probability must be from 0 to 1, not " + p);
        }
    }

    /// F32 numbers of the exponential distribution with mean 1: `Tensor.exponential_`.
    public Tensor exponential(int... dims) {
        Tensor t = Tensor.empty(DType.F32, Shape.of(dims));
        for (long i = 0; i < t.numel(); i++) {
            Elements.set(DType.F32, t.address(), i, -Math.log1p(-nextDouble()));
        }
        return t;
    }

    /// Indices (samples, I64) drawn with probabilities in the ratio of `weights` (n): `torch.multinomial`. Without
    /// replacement it is a race (Efraimidis and Spirakis 2006): every weight is divided by an exponential number, and
    /// the largest quotients win. With replacement, more than one are each looked
    /// up in the running sum.
    ///
    /// @throws IllegalArgumentException if a weight is negative or not finite, all are 0, or more different indices are
    ///     asked for than have a weight
    public Tensor multinomial(Tensor weights, int samples, boolean replacement) {
        float[] w = weights.toFloats();
        double sum = 0;
        int positive = 0;
        for (float x : w) {
            if (!(x >= 0 && x < Float.POSITIVE_INFINITY)) {
                throw new IllegalArgumentException("multinomial: a weight must be finite and not negative, not " + x);
            }
            sum += x;
            positive += x > 0 ? 1 : 0;
        }
        if (weights.rank() != 1 || sum <= 0 || !replacement && samples > positive) {
            throw new IllegalArgumentException("multinomial: " + samples + " indices cannot be drawn from weights "
                    + weights.shape() + " of which " + positive + " are positive");
        }
        return Tensor.of(replacement && samples > 1 ? lookUp(w, samples) : race(w, samples), samples);
    }

    private long[] race(float[] weights, int samples) {
        float[] rival = exponential(weights.length).toFloats();
        return IntStream.range(0, weights.length)
                .boxed()
                .sorted(Comparator.comparingDouble(i -> -(weights[i] / rival[i])))
                .limit(samples)
                .mapToLong(i -> i)
                .toArray();
    }

    private long[] lookUp(float[] weights, int samples) {
        float[] running = new float[weights.length];
        float total = 0;
        for (int i = 0; i < weights.length; i++) {
            total += weights[i];
            running[i] = total;
        }
        for (int i = 0; i < weights.length; i++) {
            running[i] /= total;
        }
        running[weights.length - 1] = 1; // whatever the rounding
        long[] drawn = new long[samples];
        for (int s = 0; s < samples; s++) {
            double u = nextDouble();
            int i = 0;
            while (running[i] < u || weights[i] == 0) {
                i++;
            }
            drawn[s] = i;
        }
        return drawn;
    }

    /// F32 normal numbers of mean 0 and standard deviation 1: `torch.randn`.
    public Tensor randn(int... dims) {
        Tensor t = Tensor.empty(DType.F32, Shape.of(dims));
        normal(t, 0, 1);
        return t;
    }

    /// Fills an F32 tensor with normal numbers: `Tensor.normal_`. From 16 elements on PyTorch pairs the uniform numbers
    /// of blocks of 16; fewer it draws one by one.
    public void normal(Tensor t, double mean, double std) {
        if (t.numel() < BLOCK) {
            for (long i = 0; i < t.numel(); i++) {
                Elements.set(DType.F32, t.address(), i, nextNormal() * std + mean);
            }
            return;
        }
        long n = t.numel();
        long at = t.address();
        draw(at, n);
        Team.shared().parallelFor(Math.toIntExact((n / BLOCK + SHARE - 1) / SHARE), task -> {
            long end = Math.min(n / BLOCK, (task + 1L) * SHARE);
            for (long block = (long) task * SHARE; block < end; block++) {
                boxMuller(at + 4 * BLOCK * block, (float) mean, (float) std);
            }
        });
        if (n % BLOCK != 0) { // the last are drawn anew, over what is there
            long last = at + 4 * (n - BLOCK);
            draw(last, BLOCK);
            boxMuller(last, (float) mean, (float) std);
        }
        Reference.reachabilityFence(t);
    }

    private void draw(long at, long n) {
        for (long i = 0; i < n; i++) {
            Native.setFloat(at + 4 * i, nextFloat());
        }
    }

    /// Normal numbers of a block of uniform ones, in their place.
    private static void boxMuller(long block, float mean, float std) {
        int half = BLOCK / 2;
        for (int j = 0; j < half; j++) {
            BoxMuller.replace(block + 4L * j, block + 4L * (half + j), mean, std);
        }
    }

    /// One normal number, by Box and Muller in f64, two at a time.
    public double nextNormal() {
        if (hasSpare) {
            hasSpare = false;
            return spare;
        }
        double theta = 2 * Math.PI * nextDouble();
        double radius = Math.sqrt(-2 * Math.log1p(-nextDouble()));
        spare = radius * Math.sin(theta);
        hasSpare = true;
        return radius * Math.cos(theta);
    }
}
