package dev.deckle.data;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/// How the numbers of a [LongGenerator] are spread: what a median by counting finds easy, and what it finds hard.
public enum Distribution {
    /// Every 64-bit integer is as likely as any other.
    UNIFORM,
    /// A bell around 0 with a standard deviation of `2^32 sqrt(2/3)`, about 3.5e9: sums of eight uniform 32-bit
    /// integers, so that no rounding can differ from machine to machine.
    NORMAL,
    /// One number again and again.
    EQUAL,
    /// Ascending, evenly from the smallest 64-bit integer to the largest.
    SORTED,
    /// [Long#MIN_VALUE] and [Long#MAX_VALUE] by turns: the two middle numbers of an even count are as far apart as can
    /// be, and their sum and their difference are at the edge of 64 bits.
    TWO_VALUES,
    /// Numbers that agree with one pattern in their first 0 to 63 bits, each length as often: whatever the leading bits
    /// that a pass counts by, many numbers stay in the bucket of the median, down to the last bit.
    ADVERSARIAL;

    /// As users write it: `two-values`.
    public String label() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /// The labels of all.
    public static List<String> labels() {
        return Arrays.stream(values()).map(Distribution::label).toList();
    }

    /// The distribution with this label.
    ///
    /// @throws IllegalArgumentException with the labels that there are
    public static Distribution of(String label) {
        return Arrays.stream(values()).filter(d -> d.label().equals(label)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "no distribution " + label + ": expected one of " + String.join(", ", labels())));
    }
}
