package dev.deckle.jinja;

import java.util.Arrays;

/// A string, counted in code points as Python counts. One that is `safe` (Python's Markup) escapes what is added to it.
final class Text implements Value {
    private static final int[] NONE_BEYOND = {};

    final String string;
    final boolean safe;
    private int[] points; // the code points, made when first counted; NONE_BEYOND if they are the chars

    Text(String string, boolean safe) {
        this.string = string;
        this.safe = safe;
    }

    /// Another text of the same kind.
    Text with(String other) {
        return new Text(other, safe);
    }

    private int[] points() {
        if (points == null) {
            boolean beyond = string.codePointCount(0, string.length()) < string.length();
            points = beyond ? string.codePoints().toArray() : NONE_BEYOND;
        }
        return points;
    }

    int length() {
        return points() == NONE_BEYOND ? string.length() : points.length;
    }

    int point(int i) {
        return points() == NONE_BEYOND ? string.charAt(i) : points[i];
    }

    Text at(int i) {
        return with(Character.toString(point(i)));
    }

    Text slice(int from, int to) {
        return with(points() == NONE_BEYOND
                ? string.substring(from, Math.max(from, to))
                : new String(points, from, Math.max(0, to - from)));
    }

    /// Every `step`th code point from `from` on, `count` of them.
    Text slice(int from, int step, int count) {
        if (step == 1) {
            return slice(from, from + count);
        }
        var out = new int[count];
        Arrays.setAll(out, i -> point(from + i * step));
        return with(new String(out, 0, count));
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Text t && string.equals(t.string);
    }

    @Override
    public int hashCode() {
        return string.hashCode();
    }

    @Override
    public String type() {
        return safe ? "Markup" : "str";
    }

    @Override
    public long size() {
        return 1 + string.length() / 64;
    }
}
