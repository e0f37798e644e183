package dev.deckle.data;

/// Random numbers that are a function of a seed and a counter, so that the counter is all the state there is.
final class Counter {
    private Counter() {}

    /// The output function of SplitMix64 (Steele, Lea and Flood, 2014) after its increment: a bijection that spreads
    /// every bit over all others.
    static long mix(long x) {
        x += 0x9E3779B97F4A7C15L;
        x = (x ^ x >>> 30) * 0xBF58476D1CE4E5B9L;
        x = (x ^ x >>> 27) * 0x94D049BB133111EBL;
        return x ^ x >>> 31;
    }

    /// A number in 0..bound-1, the `counter`-th of `seed`. The bias, bound / 2^64, is beyond notice.
    static long below(long bound, long seed, long counter) {
        return Math.unsignedMultiplyHigh(mix(mix(seed) + counter), bound);
    }
}
