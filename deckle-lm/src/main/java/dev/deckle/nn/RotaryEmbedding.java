package dev.deckle.nn;

import dev.deckle.kernel.Native;
import dev.deckle.memory.Workspace;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Rotary position embedding: position p turns pair i of a head by the angle `p * frequency[i]`, so that the product of
/// a query and a key depends on their distance only. The tables of cosines and sines grow as longer sequences come.
/// Angles are computed in f32, as PyTorch does.
///
/// - **Formula**: (x1, x2) becomes (x1 cos a - x2 sin a, x2 cos a + x1 sin a), a = p base^(-2i/D)
/// - **Shapes**: x (B, heads, T, D), D even; tables (positions, D/2)
/// - **Cost**: 3 D operations a row; nothing is learned
/// - **Source**: Su et al. 2021
/// - **PyTorch**: Hugging Face's `apply_rotary_pos_emb` (half layout), Meta's `apply_rotary_emb` (interleaved)
/// - **Classic mistake**: weights trained with one layout run with the other; positions that start at 0 again when
///   decoding with a cache; rotating the values too
public final class RotaryEmbedding {
    /// Which numbers of a head make a pair.
    public enum Layout {
        /// (i, i + D/2), as in Hugging Face's checkpoints.
        HALF,
        /// (2i, 2i + 1), as in Meta's and DeepSeek's.
        INTERLEAVED
    }

    private static final int MOST = 1 << 24; // a table of all positions is kept

    private final Layout layout;
    private final int headDim;
    private final double theta;
    private final RopeScaling scaling;
    private Tables tables; // of the positions for which frequencies do not depend on the length
    private Tables longTables; // of the last length for which they do

    /// Each (positions, D/2); never changed once they are made.
    private record Tables(Tensor cos, Tensor sin) {}

    /// @param theta the base of the frequencies, usually 10,000
    /// @param scaling how the frequencies are stretched for contexts beyond those of training
    public RotaryEmbedding(int headDim, double theta, RopeScaling scaling, Layout layout) {
        if (headDim < 2 || headDim % 2 != 0) {
            throw new IllegalArgumentException("rotary positions turn pairs: a head of width " + headDim
                    + " must be even");
        }
        this.layout = layout;
        this.headDim = headDim;
        this.theta = theta;
        this.scaling = scaling;
        tables = make(Math.min(64, scaling.fixedUpTo()));
        longTables = tables;
    }

    private Tables make(int positions) {
        float[] frequencies = scaling.frequencies(headDim, theta, positions); // in radians a position
        double factor = scaling.attentionFactor();
        int half = frequencies.length;
        Shape shape = Shape.of(positions, half);
        long bytes = 4L * positions * half;
        // these outlive every step: not from the workspace
        Tensor cos = Tensor.on(Workspace.allocateForCaller(bytes), 0, DType.F32, shape);
        Tensor sin = Tensor.on(Workspace.allocateForCaller(bytes), 0, DType.F32, shape);
        for (int p = 0; p < positions; p++) {
            for (int i = 0; i < half; i++) {
                float angle = p * frequencies[i];
                long at = 4L * (p * half + i);
                Native.setFloat(cos.address() + at, (float) (Math.cos(angle) * factor));
                Native.setFloat(sin.address() + at, (float) (Math.sin(angle) * factor));
            }
        }
        return new Tables(cos, sin);
    }

    private synchronized Tables upTo(int positions) {
        if (positions > scaling.fixedUpTo()) {
            if (positions != longTables.cos.dim(0)) {
                longTables = make(positions); // for all layers of a step
            }
            return longTables;
        }
        int there = tables.cos.dim(0);
        if (positions > there) {
            tables = make(Math.min(Math.max(positions, 2 * there), scaling.fixedUpTo()));
        }
        return tables;
    }

    /// Rotates x (B, heads, T, D) by the positions that its rows have in a pass.
    public Tensor rotate(Tensor x, Pass pass) {
        return pass.positions(x.dim(-2)).map(p -> rotate(x, p)).orElseGet(() -> rotate(x, pass.position()));
    }

    /// Rotates x (B, heads, T, D), whose first row is at position `from`.
    public Tensor rotate(Tensor x, int from) {
        int to = from + x.dim(-2);
        Tables t = upTo(to);
        return rotate(x, t.cos.slice(0, from, to), t.sin.slice(0, from, to));
    }

    /// Rotates x (B, heads, T, D) by positions of its own: (T), or (B, T) where sequences begin at different places.
    public Tensor rotate(Tensor x, Tensor positions) {
        if (positions.rank() == 2 && positions.dim(0) == 1) {
            return rotate(x, positions.squeeze(0)); // the same for all sequences
        }
        int last = 0;
        for (long p : positions.toLongs()) {
            if (p < 0 || p > MOST) {
                throw new IllegalArgumentException("position_ids must be from 0 to " + MOST + ", not " + p);
            }
            last = Math.max(last, (int) p);
        }
        Tables t = upTo(last + 1);
        return rotate(x, Functional.embedding(t.cos, positions), Functional.embedding(t.sin, positions));
    }

    private Tensor rotate(Tensor x, Tensor cos, Tensor sin) {
        return Functional.rope(x, cos.to(x.dtype()), sin.to(x.dtype()), layout == Layout.INTERLEAVED);
    }
}
