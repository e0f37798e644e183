package dev.deckle.nn;

/// How rotary frequencies are stretched for contexts longer than those of training: the `rope_type`s of Hugging Face
/// that do not depend on the length at hand.
public sealed interface RopeScaling {
    /// The frequencies in use, from theta^(-2i/D).
    double[] frequencies(double[] inverse, int headDim, double theta);

    /// Multiplies cosine and sine.
    default double attentionFactor() {
        return 1;
    }

    /// As they are.
    record None() implements RopeScaling {
        @Override
        public double[] frequencies(double[] inverse, int headDim, double theta) {
            return inverse;
        }
    }

    /// All divided by `factor` (Chen et al. 2023, position interpolation).
    record Linear(double factor) implements RopeScaling {
        @Override
        public double[] frequencies(double[] inverse, int headDim, double theta) {
            double[] f = inverse.clone();
            for (int i = 0; i < f.length; i++) {
                f[i] /= factor;
            }
            return f;
        }
    }

    /// Llama 3.1: waves longer than the original context are stretched, short ones kept, those between blended.
    record Llama3(double factor, double lowFreqFactor, double highFreqFactor, double originalContext)
            implements RopeScaling {
        @Override
        public double[] frequencies(double[] inverse, int headDim, double theta) {
            double[] f = inverse.clone();
            for (int i = 0; i < f.length; i++) {
                double wavelength = 2 * Math.PI / f[i];
                double smooth = (originalContext / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
                if (wavelength > originalContext / lowFreqFactor) {
                    f[i] /= factor;
                } else if (wavelength > originalContext / highFreqFactor) {
                    f[i] = (1 - smooth) * f[i] / factor + smooth * f[i];
                }
            }
            return f;
        }
    }

    /// YaRN (Peng et al. 2023): pairs that turn more than `betaFast` times within the original context are kept, those
    /// that turn less than `betaSlow` times are stretched, with a ramp between; attention is sharpened to match.
    record Yarn(
            double factor, double betaFast, double betaSlow, double originalContext, boolean truncate,
            double attentionFactor) implements RopeScaling {
        @Override
        public double[] frequencies(double[] inverse, int headDim, double theta) {
            double low = pairThatTurns(betaFast, headDim, theta);
            double high = pairThatTurns(betaSlow, headDim, theta);
            if (truncate) {
                low = Math.floor(low);
                high = Math.ceil(high);
            }
            low = Math.max(low, 0);
            high = Math.min(high, headDim - 1);
            double width = high == low ? 0.001 : high - low;
            double[] f = inverse.clone();
            for (int i = 0; i < f.length; i++) {
                double ramp = Math.clamp((i - low) / width, 0, 1);
                f[i] = f[i] / factor * ramp + f[i] * (1 - ramp);
            }
            return f;
        }

        private double pairThatTurns(double turns, int headDim, double theta) {
            return headDim * Math.log(originalContext / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
        }

        /// The sharpening that the paper recommends for a factor.
        public static double defaultAttentionFactor(double factor) {
            return factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1;
        }
    }
}
