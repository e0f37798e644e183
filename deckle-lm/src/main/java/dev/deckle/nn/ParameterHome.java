package dev.deckle.nn;

import dev.deckle.autograd.Leaf;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.function.Predicate;

/// Where the parameters of a model that learns live: a model asks for each in the order of its layers, with its first
/// values, and computes with what it gets back.
public interface ParameterHome {
    /// Takes a parameter in.
    ///
    /// @param name its full name in a checkpoint
    /// @param values what it is at first; the home copies them
    /// @param matrix whether it may be kept in half precision; what is added or multiplied element by element may not
    /// @return the parameter, a leaf that gathers a gradient if it is trained
    Tensor adopt(String name, Tensor values, boolean matrix);

    /// Whether a parameter comes to live here. One that does not is read where the checkpoint has it, and never learns.
    ///
    /// @param name its full name in a checkpoint
    default boolean takes(String name) {
        return true;
    }

    /// All parameters have been taken in.
    default void finished() {}

    /// Each parameter and its gradient whole, in a model's own memory.
    ///
    /// @param dtype of both
    static ParameterHome in(ModelMemory memory, DType dtype) {
        return in(memory, dtype, _ -> true);
    }

    /// The same for those parameters that learn; the others stay where they are, without a copy.
    ///
    /// @param learns which do, by name
    static ParameterHome in(ModelMemory memory, DType dtype, Predicate<String> learns) {
        return new ParameterHome() {
            @Override
            public Tensor adopt(String name, Tensor values, boolean matrix) {
                Tensor p = values.copyInto(Tensor.empty(memory, dtype, values.shape()));
                return p.requireGrad(new Leaf(p, Tensor.empty(memory, dtype, values.shape())));
            }

            @Override
            public boolean takes(String name) {
                return learns.test(name);
            }
        };
    }
}
