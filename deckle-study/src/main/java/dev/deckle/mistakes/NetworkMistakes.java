package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import dev.deckle.parity.GoldenCase;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/// Networks of a few linear layers.
public final class NetworkMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        NO_ACTIVATION("two linear maps are one linear map: the network can learn nothing that one layer cannot"),
        ACTIVATION_AFTER_THE_LAST("the result can never be negative: relu is put behind every layer from habit"),
        GRADIENT_THROUGH_DEAD_UNITS("backward without ReLU's derivative: units that were off learn all the same"),
        NO_BIAS("the bias of the first layer is forgotten: x @ W alone"),
        DROPOUT_IN_EVALUATION("results change from call to call: eval() is forgotten, or dropout has no switch"),
        SILU_ON_UP("silu bends the up projection and the gate stays straight: the two have the same shape"),
        SIGMOID_GATE("sigmoid in place of silu: that is GLU, the older one of the family"),
        GATE_ADDED("gate and up are added where they should be multiplied: nothing is gated");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private NetworkMistakes() {}

    /// x (..., in), W (out, in), b (out).
    private static Tensor linear(Tensor x, Tensor weight, Tensor bias, boolean withBias) {
        Tensor y = x.matmul(weight.t());
        return withBias ? y.add(bias) : y;
    }

    /// Two layers with a bend between them: x (..., in), W1 (hidden, in), b1 (hidden), W2 (out, hidden), b2 (out).
    public static Tensor twoLayers(
            Tensor x, Tensor w1, Tensor b1, Tensor w2, Tensor b2, UnaryOperator<Tensor> bend, Slip slip) {
        Tensor inside = linear(x, w1, b1, slip != Slip.NO_BIAS); // (..., hidden)
        Tensor hidden = switch (slip) {
            case NO_ACTIVATION -> inside;
            // the values of the bend, the gradient of a straight line
            case GRADIENT_THROUGH_DEAD_UNITS -> bend.apply(inside.detach()).add(inside.sub(inside.detach()));
            default -> bend.apply(inside);
        };
        Tensor y = linear(hidden, w2, b2, true);
        return switch (slip) {
            case ACTIVATION_AFTER_THE_LAST -> bend.apply(y);
            case DROPOUT_IN_EVALUATION -> AttentionMistakes.dropout(y);
            default -> y;
        };
    }

    /// What the gate lets through of the other projection.
    public static Tensor swiglu(Tensor gate, Tensor up, Slip slip) {
        return switch (slip) {
            case SILU_ON_UP -> gate.mul(silu(up));
            case SIGMOID_GATE -> ActivationMistakes.sigmoid(gate, ActivationMistakes.Slip.NONE).mul(up);
            case GATE_ADDED -> silu(gate).add(up);
            case NO_ACTIVATION -> gate.mul(up);
            default -> silu(gate).mul(up);
        };
    }

    private static Tensor silu(Tensor x) {
        return ActivationMistakes.swish(x, ActivationMistakes.Slip.NONE);
    }

    static List<Exercise> exercises() {
        List<Slip> ffn = List.of(Slip.NO_ACTIVATION, Slip.ACTIVATION_AFTER_THE_LAST, Slip.DROPOUT_IN_EVALUATION);
        return List.of(
                Exercise.of("mlp").golden("mlp", NetworkMistakes::mlp, Slip.NONE, List.of(Slip.NO_ACTIVATION,
                        Slip.ACTIVATION_AFTER_THE_LAST, Slip.GRADIENT_THROUGH_DEAD_UNITS, Slip.NO_BIAS)),
                Exercise.of("relu-ffn").golden("relu_ffn",
                        s -> feedForward(x -> ActivationMistakes.relu(x, ActivationMistakes.Slip.NONE), s), Slip.NONE,
                        ffn),
                Exercise.of("gelu-ffn").golden("gelu_ffn",
                        s -> feedForward(x -> ActivationMistakes.gelu(x, ActivationMistakes.Slip.NONE), s), Slip.NONE,
                        ffn),
                Exercise.of("gelu-tanh-ffn").golden("gelu_tanh_ffn",
                        s -> feedForward(x -> ActivationMistakes.geluTanh(x, ActivationMistakes.Slip.NONE), s),
                        Slip.NONE, ffn),
                Exercise.of("swiglu-ffn").golden("swiglu_ffn", NetworkMistakes::swiGlu, Slip.NONE,
                        List.of(Slip.SILU_ON_UP, Slip.SIGMOID_GATE, Slip.GATE_ADDED, Slip.NO_ACTIVATION)));
    }

    private static Component mlp(Slip slip) {
        return r -> {
            r.config().integer("input_size");
            r.config().integer("hidden_size");
            r.config().integer("output_size");
            return Map.of("y", twoLayers(r.input("x"), r.parameter("fc1.weight"), r.parameter("fc1.bias"),
                    r.parameter("fc2.weight"), r.parameter("fc2.bias"), Tensor::relu, slip));
        };
    }

    private static Component feedForward(UnaryOperator<Tensor> bend, Slip slip) {
        return r -> {
            sizes(r);
            return Map.of("y", twoLayers(r.input("x"), r.parameter("up_proj.weight"), r.parameter("up_proj.bias"),
                    r.parameter("down_proj.weight"), r.parameter("down_proj.bias"), bend, slip));
        };
    }

    private static Component swiGlu(Slip slip) {
        return r -> {
            sizes(r);
            Tensor x = r.input("x");
            Tensor inside = swiglu(linear(x, r.parameter("gate_proj.weight"), r.parameter("gate_proj.bias"), true),
                    linear(x, r.parameter("up_proj.weight"), r.parameter("up_proj.bias"), true), slip);
            return Map.of("y", linear(inside, r.parameter("down_proj.weight"), r.parameter("down_proj.bias"), true));
        };
    }

    private static void sizes(GoldenCase.Run r) {
        r.config().integer("hidden_size");
        r.config().integer("intermediate_size");
    }
}
