package dev.deckle.compute;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Native;
import dev.deckle.tensor.DType;
import java.lang.foreign.ValueLayout;

/// One element of any type, read and written as a number: `index` counts elements from `address`.
public final class Elements {
    private Elements() {}

    public static double get(DType t, long address, long index) {
        return switch (t) {
            case F64 -> Native.ALL.get(ValueLayout.JAVA_DOUBLE, address + 8 * index);
            case F32 -> Native.getFloat(address + 4 * index);
            case F16 -> Float.float16ToFloat(getShort(address + 2 * index));
            case BF16 -> Bf16.get(address + 2 * index);
            case I64, I32, U8, BOOL -> getLong(t, address, index);
        };
    }

    public static void set(DType t, long address, long index, double value) {
        switch (t) {
            case F64 -> Native.ALL.set(ValueLayout.JAVA_DOUBLE, address + 8 * index, value);
            case F32 -> Native.setFloat(address + 4 * index, (float) value);
            case F16 -> setShort(address + 2 * index, Float.floatToFloat16((float) value));
            case BF16 -> Bf16.set(address + 2 * index, (float) value);
            case I64, I32, U8 -> setLong(t, address, index, (long) value);
            case BOOL -> setLong(t, address, index, value != 0 ? 1 : 0);
        }
    }

    /// An integer element, exactly.
    public static long getLong(DType t, long address, long index) {
        return switch (t) {
            case I64 -> Native.getLong(address + 8 * index);
            case I32 -> Native.getInt(address + 4 * index);
            case U8, BOOL -> Native.ALL.get(ValueLayout.JAVA_BYTE, address + index) & 0xFF;
            case F64, F32, F16, BF16 -> throw new IllegalArgumentException(t + " elements are not integers");
        };
    }

    public static void setLong(DType t, long address, long index, long value) {
        switch (t) {
            case I64 -> Native.setLong(address + 8 * index, value);
            case I32 -> Native.setInt(address + 4 * index, (int) value);
            case U8, BOOL -> Native.ALL.set(ValueLayout.JAVA_BYTE, address + index, (byte) value);
            case F64, F32, F16, BF16 -> throw new IllegalArgumentException(t + " elements are not integers");
        }
    }

    private static short getShort(long address) {
        return Native.ALL.get(ValueLayout.JAVA_SHORT, address);
    }

    private static void setShort(long address, short value) {
        Native.ALL.set(ValueLayout.JAVA_SHORT, address, value);
    }
}
