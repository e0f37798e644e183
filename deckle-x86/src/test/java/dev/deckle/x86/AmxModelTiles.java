package dev.deckle.x86;

import dev.deckle.kernel.Native;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/// The matrix unit of [AmxModel]: eight tiles, their shapes, and what raises a fault.
class AmxModelTiles {
    private static final int TILES = 8;
    private static final int SIDE = 16;

    private final int[][][] tiles = new int[TILES][SIDE][SIDE];
    private final int[] rows = new int[TILES];
    private final int[] bytes = new int[TILES]; // in a row
    private boolean configured;

    boolean released() {
        return !configured;
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static int at(long address) {
        return Native.ALL.get(ValueLayout.JAVA_BYTE, address) & 0xFF;
    }

    /// LDTILECFG.
    void configure(long from) {
        require(at(from) == 1 && at(from + 1) == 0, "palette 1, from the first row on");
        for (int i = 2; i < 64; i++) {
            boolean shape = i >= 16 && i < 32 || i >= 48 && i < 56;
            require(shape || at(from + i) == 0, "byte " + i + " of the shapes is reserved");
        }
        for (int t = 0; t < TILES; t++) {
            rows[t] = at(from + 48 + t);
            bytes[t] = at(from + 16 + 2 * t) | at(from + 17 + 2 * t) << 8;
            require(rows[t] <= SIDE && bytes[t] <= 4 * SIDE, "a tile is too large");
            require((rows[t] == 0) == (bytes[t] == 0), "a tile has rows or columns only");
            clear(t);
        }
        configured = true;
    }

    /// TILERELEASE.
    void release() {
        configured = false;
    }

    private void use(int t) {
        require(configured && rows[t] > 0, "tile " + t + " has no shape");
    }

    private void clear(int t) {
        for (int[] row : tiles[t]) {
            Arrays.fill(row, 0);
        }
    }

    /// TILEZERO.
    void zero(int t) {
        use(t);
        clear(t);
    }

    /// TILELOADD and TILESTORED. The kernels move whole numbers only.
    void move(int t, long base, long stride, boolean store) {
        use(t);
        require(bytes[t] % 4 == 0, "a row of a tile is not of whole numbers");
        if (!store) {
            clear(t);
        }
        for (int i = 0; i < rows[t]; i++) {
            for (int j = 0; j < bytes[t] / 4; j++) {
                long address = base + i * stride + 4L * j;
                if (store) {
                    Native.setInt(address, tiles[t][i][j]);
                } else {
                    tiles[t][i][j] = Native.getInt(address);
                }
            }
        }
    }

    /// TDPBF16PS: the products of even and of odd places are added up apart, then both sums to C. Denormals count as 0,
    /// coming and going.
    void multiply(int c, int a, int b) {
        use(c);
        use(a);
        use(b);
        require(c != a && c != b && a != b, "three different tiles");
        require(bytes[c] % 4 == 0 && bytes[a] % 4 == 0 && bytes[b] % 4 == 0, "rows of whole pairs");
        require(rows[c] == rows[a] && bytes[c] == bytes[b] && bytes[a] / 4 == rows[b], "shapes that fit");
        int n = bytes[c] / 4;
        float[][] low = new float[SIDE][n];
        float[][] high = new float[SIDE][n];
        for (int p = 0; p < rows[b]; p++) {
            for (int j = 0; j < n; j++) {
                low[p][j] = low(tiles[b][p][j]);
                high[p][j] = high(tiles[b][p][j]);
            }
        }
        for (int i = 0; i < rows[c]; i++) {
            float[] even = new float[n];
            float[] odd = new float[n];
            for (int p = 0; p < rows[b]; p++) {
                add(even, low(tiles[a][i][p]), low[p]);
                add(odd, high(tiles[a][i][p]), high[p]);
            }
            for (int j = 0; j < n; j++) {
                float before = flush(Float.intBitsToFloat(tiles[c][i][j]));
                tiles[c][i][j] = Float.floatToRawIntBits(flush(before + flush(even[j] + odd[j])));
            }
        }
    }

    private static void add(float[] sums, float x, float[] row) {
        for (int j = 0; j < sums.length; j++) {
            sums[j] = flush(Math.fma(x, row[j], sums[j]));
        }
    }

    private static float low(int pair) {
        return flush(Float.intBitsToFloat(pair << 16));
    }

    private static float high(int pair) {
        return flush(Float.intBitsToFloat(pair & 0xFFFF0000));
    }

    private static float flush(float x) {
        return Math.abs(x) < Float.MIN_NORMAL ? Math.copySign(0, x) : x;
    }
}
