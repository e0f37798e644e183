package dev.deckle.nn;

/// How rotary frequencies are stretched for contexts longer than those of training: the `rope_type`s of Hugging Face.
/// All arithmetic is in f32, step by step as PyTorch does it: at position 8,000 the last bit of a frequency is seen.
public sealed interface RopeScaling {
    /// The angle by which a position turns each of the D/2 pairs.
    ///
    /// @param positions how many there are at hand; only [Dynamic] asks
    float[] frequencies(int headDim, double theta, int positions);

    /// Multiplies cosine and sine.
    default double attentionFactor() {
        return 1;
    }

    /// From how many positions on the frequencies depend on their number.
    default int fixedUpTo() {
        return Integer.MAX_VALUE;
    }

    /// How many positions a model can take whose `max_position_embeddings` is `context`.
    default double reach(int context) {
        return context;
    }

    /// theta^(-2i/D).
    private static float[] plain(int headDim, double theta) {
        float[] f = new float[headDim / 2];
        for (int i = 0; i < f.length; i++) {
            f[i] = 1 / (float) Math.pow((float) theta, (float) (2 * i) / headDim);
        }
        return f;
    }

    /// As they are.
    record None() implements RopeScaling {
        @Override
        public float[] frequencies(int headDim, double theta, int positions) {
            return plain(headDim, theta);
        }
    }

    /// All divided by `factor` (Chen et al. 2023, position interpolation).
    record Linear(double factor) implements RopeScaling {
        @Override
        public float[] frequencies(int headDim, double theta, int positions) {
            float[] f = plain(headDim, theta);
            for (int i = 0; i < f.length; i++) {
                f[i] /= (float) factor;
            }
            return f;
        }

        @Override
        public double reach(int context) {
            return context * factor;
        }
    }

    /// Beyond the trained `context` the base grows with the length, so that the slowest pair is stretched most and the
    /// fastest not at all ("NTK-aware", u/emozilla and u/bloc97 2023).
    record Dynamic(double factor, int context) implements RopeScaling {
        @Override
        public float[] frequencies(int headDim, double theta, int positions) {
            double length = Math.max(positions, context);
            double stretch = factor * length / context - (factor - 1);
            return plain(headDim, theta * Math.pow(stretch, headDim / (headDim - 2.0)));
        }

        @Override
        public int fixedUpTo() {
            return context;
        }

        @Override
        public double reach(int context) {
            return context * factor;
        }
    }

    /// Llama 3.1: waves longer than the original context are stretched, short ones kept, those between blended.
    record Llama3(double factor, double lowFreqFactor, double highFreqFactor, double originalContext)
            implements RopeScaling {
        @Override
        public float[] frequencies(int headDim, double theta, int positions) {
            float[] f = plain(headDim, theta);
            for (int i = 0; i < f.length; i++) {
                float wavelength = (float) (2 * Math.PI) / f[i];
                if (wavelength > originalContext / lowFreqFactor) {
                    f[i] /= (float) factor;
                } else if (wavelength >= originalContext / highFreqFactor) {
                    float smooth = ((float) originalContext / wavelength - (float) lowFreqFactor)
                            / (float) (highFreqFactor - lowFreqFactor);
                    f[i] = (1 - smooth) * f[i] / (float) factor + smooth * f[i];
                }
            }
            return f;
        }

        @Override
        public double reach(int context) {
            return Math.max(context, originalContext * factor);
        }
    }

    /// YaRN (Peng et al. 2023): pairs that turn more than `betaFast` times within the original context are kept, those
    /// that turn less than `betaSlow` times are stretched, with a ramp between; attention is sharpened to match.
    record Yarn(
            double factor, double betaFast, double betaSlow, double originalContext, boolean truncate,
            double attentionFactor) implements RopeScaling {
        @Override
        public float[] frequencies(int headDim, double theta, int positions) {
            double low = pairThatTurns(betaFast, headDim, theta);
            double high = pairThatTurns(betaSlow, headDim, theta);
            if (truncate) {
                low = Math.floor(low);
                high = Math.ceil(high);
            }
            low = Math.max(low, 0);
            high = Math.min(high, headDim - 1);
            double width = high == low ? 0.001 : high - low;
            float[] f = plain(headDim, theta);
            for (int i = 0; i < f.length; i++) {
                float keep = 1 - Math.clamp((i - (float) low) / (float) width, 0f, 1f);
                f[i] = f[i] / (float) factor * (1 - keep) + f[i] * keep;
            }
            return f;
        }

        private double pairThatTurns(double turns, int headDim, double theta) {
            return headDim * Math.log(originalContext / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
        }

        @Override
        public double reach(int context) {
            return Math.max(context, originalContext * factor);
        }

        /// The sharpening that the paper recommends for a factor, weighted by `mscale`.
        public static double sharpening(double factor, double mscale) {
            return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
        }
    }
}
