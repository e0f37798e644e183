package dev.deckle.kernel;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

/// Numbers of bfloat16: the upper half of a float's bits.
public final class Bf16 {
    private Bf16() {}

    /// The bits of the nearest one, ties to even; NaN stays NaN.
    public static short of(float f) {
        int bits = Float.floatToRawIntBits(f);
        return (short) (f != f ? bits >>> 16 | 0x40 : bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
    }

    public static float toFloat(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /// The nearest number of bfloat16, as a float.
    public static float round(float f) {
        return toFloat(of(f));
    }

    public static float get(long address) {
        return toFloat(Native.ALL.get(JAVA_SHORT, address));
    }

    public static void set(long address, float value) {
        Native.ALL.set(JAVA_SHORT, address, of(value));
    }
}
