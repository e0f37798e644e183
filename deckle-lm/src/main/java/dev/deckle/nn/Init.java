package dev.deckle.nn;

import dev.deckle.kernel.Native;
import dev.deckle.random.Generator;
import dev.deckle.tensor.Tensor;

/// What a parameter is before training.
public sealed interface Init {
    /// Writes the first values; the parameter is F32 and row-major.
    void fill(Tensor parameter, Generator random);

    /// Normal numbers of mean 0.
    static Init normal(double std) {
        return new Normal(std);
    }

    static Init zeros() {
        return new Constant(0);
    }

    static Init ones() {
        return new Constant(1);
    }

    /// Uniform in [-bound, bound).
    static Init uniform(double bound) {
        return new Uniform(bound);
    }

    /// Uniform numbers whose variance keeps the size of activations through a layer with leaky ReLU of slope `a`:
    /// bound sqrt(6 / ((1 + a^2) fan_in)), fan_in the length of a row (He et al. 2015, PyTorch's `kaiming_uniform_`).
    static Init kaimingUniform(double a) {
        return new KaimingUniform(a);
    }

    record Uniform(double bound) implements Init {
        @Override
        public void fill(Tensor parameter, Generator random) {
            random.uniform(parameter, -bound, bound);
        }
    }

    record KaimingUniform(double a) implements Init {
        @Override
        public void fill(Tensor parameter, Generator random) {
            double std = Math.sqrt(2 / (1 + a * a)) / Math.sqrt(parameter.dim(-1));
            random.uniform(parameter, -Math.sqrt(3) * std, Math.sqrt(3) * std);
        }
    }

    record Normal(double std) implements Init {
        @Override
        public void fill(Tensor parameter, Generator random) {
            random.normal(parameter, 0, std);
        }
    }

    record Constant(float value) implements Init {
        @Override
        public void fill(Tensor parameter, Generator random) {
            for (long i = 0; i < parameter.numel(); i++) {
                Native.setFloat(parameter.address() + 4 * i, value);
            }
        }
    }
}
