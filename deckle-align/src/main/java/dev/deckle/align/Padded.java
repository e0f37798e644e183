package dev.deckle.align;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/// Sequences side by side, with padding on their right: attention looks back only, so what is real never sees it.
///
/// @param inputs (B, T) I64, all tokens but the last, T the longest sequence less one
/// @param targets (B T) I64, the token that follows each; [#IGNORED] where that does not count
/// @param mask (B, T) F32, 1 where it counts
/// @param tokens how many count
record Padded(Tensor inputs, Tensor targets, Tensor mask, long tokens) {
    static final long IGNORED = -100;

    static Padded of(List<Sequence> sequences) {
        int rows = sequences.size();
        int columns = Math.max(1, sequences.stream().mapToInt(Sequence::length).max().orElseThrow() - 1);
        long[] inputs = new long[rows * columns];
        long[] targets = new long[rows * columns];
        float[] mask = new float[rows * columns];
        Arrays.fill(targets, IGNORED);
        long tokens = 0;
        for (int r = 0; r < rows; r++) {
            Sequence s = sequences.get(r);
            for (int t = 0; t < Math.min(columns, s.length()); t++) {
                inputs[r * columns + t] = s.ids()[t];
                if (t + 1 < s.length() && s.counted()[t + 1]) {
                    targets[r * columns + t] = s.ids()[t + 1];
                    mask[r * columns + t] = 1;
                    tokens++;
                }
            }
        }
        return new Padded(Tensor.of(inputs, rows, columns), Tensor.of(targets), Tensor.of(mask, rows, columns), tokens);
    }

    int rows() {
        return inputs.dim(0);
    }

    /// Numbers of each sequence's counted tokens, in place of those of a mask: (B, T) F32, 0 elsewhere.
    Tensor spread(List<float[]> ofTokens) {
        float[] wide = new float[Math.toIntExact(mask.numel())];
        long[] counted = targets.toLongs();
        for (int r = 0; r < rows(); r++) {
            int next = 0;
            for (int t = 0; t < inputs.dim(1); t++) {
                if (counted[r * inputs.dim(1) + t] != IGNORED) {
                    wide[r * inputs.dim(1) + t] = ofTokens.get(r)[next++];
                }
            }
        }
        return Tensor.of(wide, rows(), inputs.dim(1));
    }

    /// The other way: the numbers of (B, T) at each sequence's counted tokens.
    List<float[]> gather(Tensor values) {
        float[] wide = values.detach().to(DType.F32).toFloats();
        long[] counted = targets.toLongs();
        int columns = inputs.dim(1);
        List<float[]> rows = new java.util.ArrayList<>();
        for (int r = 0; r < rows(); r++) {
            float[] row = new float[columns];
            int n = 0;
            for (int t = 0; t < columns; t++) {
                if (counted[r * columns + t] != IGNORED) {
                    row[n++] = wide[r * columns + t];
                }
            }
            rows.add(Arrays.copyOf(row, n));
        }
        return rows;
    }
}
