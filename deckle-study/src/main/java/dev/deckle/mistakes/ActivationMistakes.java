package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;

/// Activation functions and softmax by the formulas.
public final class ActivationMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        LEAK_ON_THE_WRONG_SIDE("alpha multiplies what is positive: the branches of where are swapped"),
        ALPHA_AS_A_FLOOR("max(alpha, x) in place of max(alpha x, x): constant below alpha, no gradient there"),
        NO_MINUS_ONE("alpha e^x in place of alpha (e^x - 1): a jump at 0"),
        ALPHA_INSIDE("alpha multiplies x before the exponential, not the result"),
        SIGMOID_ALONE("swish without the factor x: it is the gate that is computed, not what passes"),
        GELU_OF_SIGMOID("x sigmoid(1.702 x) is an approximation of its own, off by up to 0.02"),
        GELU_WITHOUT_HALF("1 + erf is twice the normal distribution: the 0.5 is lost"),
        ERF_WITHOUT_ROOT_TWO("erf(x) in place of erf(x / sqrt 2): the distribution's own variable is scaled"),
        CUBE_FORGOTTEN("0.044715 x in place of 0.044715 x^3 in the approximation by tanh"),
        NO_MINUS_IN_THE_EXPONENT("1 / (1 + e^x) falls where sigmoid rises"),
        TANH_OF_HALF("tanh(x / 2) is 2 sigmoid(x) - 1: the two are not the same curve"),
        ABSOLUTE_VALUE("max(x, -x) keeps negative numbers as positive ones"),
        OVERFLOWS("e^x as it stands: infinity over infinity from x = 710 on, in f32 from 89 on"),
        SUM_OVER_EVERYTHING("one sum for the whole tensor: rows no longer sum to 1, and sum() needs no dim"),
        LAST_DIMENSION_ALWAYS("the asked dimension is ignored, because in examples it is the last"),
        LOG_OF_SOFTMAX("log(softmax(x)) in two steps: minus infinity where the probability rounds to 0"),
        MAXIMUM_NOT_GIVEN_BACK("x - log sum e^(x - max): the maximum is taken off inside and not outside"),
        DIVIDED_BY_THE_MAXIMUM("scaled by the largest exponential, which makes the winner 1, not the sum");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private ActivationMistakes() {}

    public static Tensor relu(Tensor x, Slip slip) {
        return x.where(x.gt(zero(x)), slip == Slip.ABSOLUTE_VALUE ? x.neg() : zero(x)); // the slope at 0 is 0
    }

    public static Tensor leakyRelu(Tensor x, double alpha, Slip slip) {
        Tensor positive = x.gt(zero(x));
        return switch (slip) {
            case LEAK_ON_THE_WRONG_SIDE -> x.mul(alpha).where(positive, x);
            case ALPHA_AS_A_FLOOR -> x.maximum(zero(x).add(alpha));
            default -> x.where(positive, x.mul(alpha));
        };
    }

    public static Tensor elu(Tensor x, double alpha, Slip slip) {
        Tensor positive = x.gt(zero(x));
        Tensor below = zero(x).where(positive, x);
        Tensor bent = switch (slip) {
            case NO_MINUS_ONE -> below.exp().mul(alpha);
            case ALPHA_INSIDE -> below.mul(alpha).exp().sub(1);
            default -> below.exp().sub(1).mul(alpha);
        };
        return x.where(positive, bent);
    }

    public static Tensor sigmoid(Tensor x, Slip slip) {
        if (slip == Slip.OVERFLOWS) {
            return x.exp().div(x.exp().add(1));
        }
        return (slip == Slip.NO_MINUS_IN_THE_EXPONENT ? x : x.neg()).exp().add(1).reciprocal();
    }

    public static Tensor tanh(Tensor x, Slip slip) {
        if (slip == Slip.OVERFLOWS) {
            return x.exp().sub(x.neg().exp()).div(x.exp().add(x.neg().exp()));
        }
        return sigmoid(slip == Slip.TANH_OF_HALF ? x : x.mul(2), slip).mul(2).sub(1);
    }

    public static Tensor swish(Tensor x, Slip slip) {
        Tensor gate = sigmoid(x, slip);
        return slip == Slip.SIGMOID_ALONE ? gate : x.mul(gate);
    }

    public static Tensor gelu(Tensor x, Slip slip) {
        if (slip == Slip.GELU_OF_SIGMOID) {
            return x.mul(sigmoid(x.mul(1.702), Slip.NONE));
        }
        Tensor cumulative = x.mul(slip == Slip.ERF_WITHOUT_ROOT_TWO ? 1 : Math.sqrt(0.5)).erf().add(1);
        return x.mul(cumulative).mul(slip == Slip.GELU_WITHOUT_HALF ? 1 : 0.5);
    }

    public static Tensor geluTanh(Tensor x, Slip slip) {
        Tensor cubic = (slip == Slip.CUBE_FORGOTTEN ? x : x.mul(x).mul(x)).mul(0.044715);
        return x.mul(x.add(cubic).mul(Math.sqrt(2 / Math.PI)).tanh().add(1)).mul(0.5);
    }

    public static Tensor softmax(Tensor x, int dim, Slip slip) {
        int over = slip == Slip.LAST_DIMENSION_ALWAYS ? x.rank() - 1 : dim;
        Tensor e = (slip == Slip.OVERFLOWS ? x : x.sub(x.max(over, true).detach())).exp();
        return switch (slip) {
            case SUM_OVER_EVERYTHING -> e.div(e.sum());
            case DIVIDED_BY_THE_MAXIMUM -> e.div(e.max(over, true));
            default -> e.div(e.sum(over, true));
        };
    }

    public static Tensor logSoftmax(Tensor x, int dim, Slip slip) {
        if (slip == Slip.LOG_OF_SOFTMAX || slip == Slip.SUM_OVER_EVERYTHING) {
            return softmax(x, dim, slip).log();
        }
        Tensor below = x.sub(slip == Slip.OVERFLOWS ? zero(x) : x.max(dim, true).detach());
        Tensor from = slip == Slip.MAXIMUM_NOT_GIVEN_BACK ? x : below;
        return from.sub(below.exp().sum(dim, true).log());
    }

    private static Tensor zero(Tensor x) {
        return Tensor.zeros(x.dtype(), Shape.SCALAR);
    }

    private interface Bend {
        Tensor of(Tensor x, Slip slip);
    }

    private static Exercise with(Exercise e, String component, Bend bend, Slip... slips) {
        return e.<Slip>golden(component, slip -> r -> Map.of("y", bend.of(r.input("x"), slip)), Slip.NONE,
                List.of(slips));
    }

    static List<Exercise> exercises() {
        Tensor large = Tensor.of(new double[] {1000, 999, -1000});
        Exercise activations = Exercise.of("activations");
        activations = with(activations, "relu", ActivationMistakes::relu, Slip.ABSOLUTE_VALUE);
        activations = activations.<Slip>golden("leaky_relu", slip -> r -> Map.of("y",
                leakyRelu(r.input("x"), r.config().real("alpha"), slip)), Slip.NONE,
                List.of(Slip.LEAK_ON_THE_WRONG_SIDE, Slip.ALPHA_AS_A_FLOOR));
        activations = activations.<Slip>golden("elu", slip -> r -> Map.of("y",
                elu(r.input("x"), r.config().real("alpha"), slip)), Slip.NONE,
                List.of(Slip.NO_MINUS_ONE, Slip.ALPHA_INSIDE));
        activations = with(activations, "sigmoid", ActivationMistakes::sigmoid, Slip.NO_MINUS_IN_THE_EXPONENT);
        activations = with(activations, "tanh", ActivationMistakes::tanh, Slip.TANH_OF_HALF);
        activations = with(activations, "swish", ActivationMistakes::swish, Slip.SIGMOID_ALONE);
        activations = with(activations, "gelu", ActivationMistakes::gelu, Slip.GELU_OF_SIGMOID, Slip.GELU_WITHOUT_HALF,
                Slip.ERF_WITHOUT_ROOT_TWO);
        activations = with(activations, "gelu_tanh", ActivationMistakes::geluTanh, Slip.CUBE_FORGOTTEN);
        activations = activations.numbers(() -> new double[] {1, 1, 0}, s -> sigmoid(large, s).toDoubles(), Slip.NONE,
                List.of(Slip.OVERFLOWS));
        double e = Math.exp(-1);
        Exercise softmax = Exercise.of("softmax")
                .golden("softmax", s -> along(s, ActivationMistakes::softmax), Slip.NONE,
                        List.of(Slip.SUM_OVER_EVERYTHING,
                                Slip.LAST_DIMENSION_ALWAYS, Slip.DIVIDED_BY_THE_MAXIMUM))
                .numbers(() -> new double[] {1 / (1 + e), e / (1 + e), 0}, s -> softmax(large, 0, s).toDoubles(),
                        Slip.NONE, List.of(Slip.OVERFLOWS));
        Exercise logSoftmax = Exercise.of("log-softmax")
                .golden("log_softmax", s -> along(s, ActivationMistakes::logSoftmax), Slip.NONE,
                        List.of(Slip.SUM_OVER_EVERYTHING, Slip.MAXIMUM_NOT_GIVEN_BACK))
                .numbers(() -> new double[] {-Math.log(1 + e), -1 - Math.log(1 + e), -2000 - Math.log(1 + e)},
                        s -> logSoftmax(large, 0, s).toDoubles(), Slip.NONE,
                        List.of(Slip.LOG_OF_SOFTMAX, Slip.OVERFLOWS));
        return List.of(activations, softmax, logSoftmax);
    }

    private interface Along {
        Tensor of(Tensor x, int dim, Slip slip);
    }

    private static Component along(Slip slip, Along f) {
        return r -> {
            Tensor x = r.input("x");
            int dim = r.config().integer("dim");
            return Map.of("y", f.of(x, dim < 0 ? dim + x.rank() : dim, slip));
        };
    }
}
