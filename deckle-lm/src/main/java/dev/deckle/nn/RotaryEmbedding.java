package dev.deckle.nn;

import dev.deckle.kernel.Native;
import dev.deckle.memory.Workspace;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;

/// Rotary position embedding (Su et al. 2021): position p turns pair i of a head by the angle `p * frequency[i]`, so
/// that the product of a query and a key depends on their distance only. Pairs are (i, i + D/2), as in Hugging Face's
/// Llama.
///
/// The tables of cosines and sines grow as longer sequences come. Angles are computed in f32, as PyTorch does.
public final class RotaryEmbedding {
    private final float[] frequencies; // D/2, in turns of a radian a position
    private final double factor; // multiplies cosine and sine (YaRN)
    private Tables tables;

    /// Each (positions, D/2); never changed once they are made.
    private record Tables(Tensor cos, Tensor sin) {}

    /// @param scaling how the frequencies are stretched for contexts beyond those of training
    public RotaryEmbedding(int headDim, double theta, RopeScaling scaling) {
        double[] inverse = new double[headDim / 2];
        for (int i = 0; i < inverse.length; i++) {
            inverse[i] = Math.pow(theta, -2.0 * i / headDim);
        }
        double[] scaled = scaling.frequencies(inverse, headDim, theta);
        frequencies = new float[inverse.length];
        for (int i = 0; i < inverse.length; i++) {
            frequencies[i] = (float) scaled[i];
        }
        factor = scaling.attentionFactor();
        tables = make(64);
    }

    private Tables make(int positions) {
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
        int there = tables.cos.dim(0);
        if (positions > there) {
            tables = make(Math.max(positions, 2 * there));
        }
        return tables;
    }

    /// Rotates x (B, heads, T, D), whose first row is at position `from`.
    public Tensor rotate(Tensor x, int from) {
        int to = from + x.dim(-2);
        Tables t = upTo(to);
        return Functional.rope(x, t.cos.slice(0, from, to).to(x.dtype()), t.sin.slice(0, from, to).to(x.dtype()),
                false);
    }
}
