package dev.deckle.align;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/// Sequences side by side, with padding on their right: attention looks back only, so what is real never sees it. Or
/// end to end in one row, without padding.
///
/// @param inputs (B, T) I64, all tokens but the last, T the longest sequence less one; end to end (1, T), T the sum of
///     what they have
/// @param targets (B T) I64, the token that follows each; [#IGNORED] where that does not count
/// @param mask (B, T) F32, 1 where it counts
/// @param tokens how many count
/// @param lengths of the inputs of sequences that stand in one row; empty where each has a row
record Padded(Tensor inputs, Tensor targets, Tensor mask, long tokens, List<Integer> lengths) {
    static final long IGNORED = -100;

    static Padded of(List<Sequence> sequences) {
        int rows = sequences.size();
        int columns = Math.max(1, sequences.stream().mapToInt(Sequence::length).max().orElseThrow() - 1);
        Columns all = new Columns(rows * columns);
        for (int r = 0; r < rows; r++) {
            all.put(r * columns, columns, sequences.get(r));
        }
        return all.batch(rows, List.of());
    }

    /// The same tokens end to end ([dev.deckle.nn.Pass#packed]).
    static Padded packed(List<Sequence> sequences) {
        List<Integer> lengths = sequences.stream().map(s -> Math.max(1, s.length() - 1)).toList();
        Columns all = new Columns(lengths.stream().mapToInt(n -> n).sum());
        int at = 0;
        for (int i = 0; i < lengths.size(); i++) {
            all.put(at, lengths.get(i), sequences.get(i));
            at += lengths.get(i);
        }
        return all.batch(1, lengths);
    }

    /// A batch as it is filled.
    private static final class Columns {
        private final long[] inputs;
        private final long[] targets;
        private final float[] mask;
        private long tokens;

        private Columns(int length) {
            inputs = new long[length];
            targets = new long[length];
            mask = new float[length];
            Arrays.fill(targets, IGNORED);
        }

        private void put(int at, int room, Sequence s) {
            for (int t = 0; t < Math.min(room, s.length()); t++) {
                inputs[at + t] = s.ids()[t];
                if (t + 1 < s.length() && s.counted()[t + 1]) {
                    targets[at + t] = s.ids()[t + 1];
                    mask[at + t] = 1;
                    tokens++;
                }
            }
        }

        private Padded batch(int rows, List<Integer> lengths) {
            int columns = inputs.length / rows;
            return new Padded(Tensor.of(inputs, rows, columns), Tensor.of(targets), Tensor.of(mask, rows, columns),
                    tokens, lengths);
        }
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
