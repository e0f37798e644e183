package dev.deckle.jinja;

import java.util.AbstractList;
import java.util.RandomAccess;

/// The numbers of a `range`, none of which is kept.
final class Range extends AbstractList<Value> implements RandomAccess {
    private static final int LONGEST = 100_000; // as Jinja's sandbox has it

    private final long start;
    private final long stop;
    private final long step;
    private final int size;

    Range(long start, long stop, long step) {
        if (step == 0) {
            throw new TemplateException("range() arg 3 must not be zero");
        }
        long length = step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
        if (length > LONGEST) {
            throw new TemplateException("Range too big: " + length + " numbers, " + LONGEST + " are allowed");
        }
        this.start = start;
        this.stop = stop;
        this.step = step;
        size = (int) Math.max(0, length);
    }

    Range slice(int from, int by, int count) {
        return new Range(start + from * step, start + (from + (long) by * count) * step, step * by);
    }

    @Override
    public Value get(int index) {
        return Value.of(start + index * step);
    }

    @Override
    public int size() {
        return size;
    }

    String repr() {
        return "range(" + start + ", " + stop + (step == 1 ? "" : ", " + step) + ")";
    }
}
