package dev.deckle.explain.story;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.data.LongSource;
import dev.deckle.data.MedianListener;
import dev.deckle.data.StreamMedian;
import dev.deckle.kernel.Team;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/// The median of more numbers than memory holds.
final class MedianStories {
    private MedianStories() {}

    static List<Part> parts() {
        return List.of(new Part("median", "data", "the median of 10^10 numbers in 32 MB: here of 12 in 40 bytes",
                StreamMedian.class, Set.of("values"), MedianStories::median));
    }

    private static Explanation median(Options options) {
        float[] v = Small.values(options, 8, 93, -7, 25, 60, 41, 8, 77, 12, 50, 99, 3);
        long[] numbers = new long[v.length];
        for (int i = 0; i < v.length; i++) {
            if (v[i] != Math.rint(v[i])) {
                throw Small.bad("--values", "whole numbers are expected");
            }
            numbers[i] = (long) v[i];
        }
        Story story = new Story("median", "The median of a stream",
                "How many numbers lie below can be counted without keeping "
                        + "any of them: each pass cuts the range where the median must be into buckets, by the "
                        + "leading bits.");
        story.given(
                "The numbers, which can only be read from the start; there is memory for two counters and two numbers",
                "numbers", Arrays.stream(numbers).asDoubleStream().toArray());
        StreamMedian.Result found = find(numbers, new MedianListener() {
            @Override
            public void passed(Pass pass) {
                show(story, pass);
            }
        });
        story.result("The median", "the middle number, or the mean of the two in the "
                + "middle",
                Small.count(found.passes(), "pass", "passes")
                        + "; never more than ceil(64 / bits).",
                "lower", found.lower(), "upper", found.upper(), "median",
                found.median().doubleValue());
        long huge = 1L << 62;
        return story.mistake("The mean of two large numbers as (a + b) / 2", "a = b = 2⁶²",
                "The sum overflows: it must be "
                        + "taken in wider numbers.",
                "wrong", (huge + huge) / 2, "right", huge).tell();
    }

    private static StreamMedian.Result find(long[] numbers, MedianListener listener) {
        try {
            return new StreamMedian(40, Team.shared(), 1).of(LongSource.of(numbers), listener);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void show(Story story, MedianListener.Pass pass) {
        switch (pass) {
            case MedianListener.Count c -> story.step(
                    "Pass " + c.number() + ": counted in " + c.counters() + " buckets",
                    "bucket = (x - low) >>> " + c.shift(),
                    "From " + c.low() + " to " + c.high() + ". The middle is in bucket " + c.bucket() + ".", "below it",
                    c.below(), "in it", c.left());
            case MedianListener.Gather g -> story.step(
                    "Pass " + g.number() + ": what is left fits the memory and is gathered", "low <= x <= high",
                    "From " + g.low() + " to " + g.high() + ".", "below", g.below(), "gathered", g.left());
            case MedianListener.Part p -> story.step(
                    "Pass " + p.number() + ": the two in the middle are neighbours across " + p.end(),
                    "the largest up to it, the smallest beyond", "", "up to it", p.below());
        }
    }
}
