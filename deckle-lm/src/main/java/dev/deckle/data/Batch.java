package dev.deckle.data;

import java.util.Arrays;

/// Rows of token ids, row-major: `inputs[r * context + t]` is to be followed by `targets[r * context + t]`.
///
/// @param rows B
/// @param context T
/// @param inputs (B, T)
/// @param targets (B, T), the inputs shifted by one
public record Batch(int rows, int context, int[] inputs, int[] targets) {
    /// Fills row `row` from the window of `context + 1` tokens at `position`.
    void fill(int row, TokenFile tokens, long position) {
        tokens.copy(position, context, inputs, row * context);
        tokens.copy(position + 1, context, targets, row * context);
    }

    /// Some of the rows.
    public Batch part(int firstRow, int count) {
        int from = firstRow * context;
        int to = from + count * context;
        return new Batch(count, context, Arrays.copyOfRange(inputs, from, to), Arrays.copyOfRange(targets, from, to));
    }

    static Batch empty(int rows, int context) {
        return new Batch(rows, context, new int[rows * context], new int[rows * context]);
    }
}
