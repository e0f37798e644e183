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
