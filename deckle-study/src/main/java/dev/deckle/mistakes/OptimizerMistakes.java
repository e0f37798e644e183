package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import dev.deckle.parity.GoldenCase;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Optimizers and schedules as loops over plain arrays.
public final class OptimizerMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        NO_BIAS_CORRECTION("moments start at 0, so the first steps are far from what they should be"),
        CORRECTED_BY_ONE_STEP("1 - beta in place of 1 - beta^t: the correction never ends"),
        DECAY_IN_THE_GRADIENT("decay is added to the gradient and then divided by the root: Adam with L2, not AdamW"),
        DECAY_WITHOUT_RATE("weights lose the whole weight_decay a step, not lr times it"),
        ONE_BETA("beta1 is used for both moments: the second forgets too fast"),
        NO_ROOT("divided by the second moment in place of its root"),
        EPS_INSIDE_THE_ROOT("sqrt(v + eps) in place of sqrt(v) + eps: tiny gradients give steps far too small"),
        CLIPPED_ALWAYS("gradients are scaled to max_norm even where they are shorter: min(1, ...) is missing"),
        CLIPPED_BY_VALUE("each number is cut at max_norm in place of the whole vector's length: its direction changes"),
        AVERAGED_VELOCITY("v = mu v + (1 - mu) g is an average: steps are ten times too small at 0.9"),
        NO_DECAY("weight_decay is taken and never used"),
        ASCENT("p += lr v: uphill, a sign lost while rewriting"),
        NESTEROV_UNASKED("g + mu v in place of v: another optimizer's step"),
        RATE_INSIDE_THE_VELOCITY("v = mu v + lr g outlives a change of the rate, which then works late"),
        NO_PI("cos(progress) without pi ends at 0.54 of the way up, never at the floor"),
        COSINE_OVER_ALL_STEPS("the warm-up is not taken out of the cosine's progress: the rate jumps where it ends"),
        NO_FLOOR("the cosine falls to 0 in place of min_lr"),
        FLOOR_ADDED("min_lr is added to a cosine of the whole max_lr: the peak is too high"),
        WARM_UP_ONE_STEP_AHEAD("(step + 1) / warmup: step 0 learns already, where the reference does not"),
        NO_ZERO_GRAD("gradients of earlier steps stay in the sum: zero_grad() is forgotten"),
        RATE_TOO_LARGE("above 2 / f'' each step lands further away than the last: larger rates only seem faster"),
        VALUE_IN_PLACE_OF_SLOPE("x -= lr f(x): the value is followed, not its derivative");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private OptimizerMistakes() {}

    /// The weights after each gradient.
    ///
    /// @param clip the longest that a gradient may be; 0 for any length
    public static double[][] adamW(
            double[] start, double[][] gradients, double lr, double beta1, double beta2, double eps, double decay,
            double clip, Slip slip) {
        double[][] path = new double[gradients.length][];
        double[] w = start.clone();
        double[] m = new double[w.length];
        double[] v = new double[w.length];
        double b2 = slip == Slip.ONE_BETA ? beta1 : beta2;
        for (int t = 1; t <= gradients.length; t++) {
            double[] g = clipped(gradients[t - 1], clip, slip);
            int power = slip == Slip.CORRECTED_BY_ONE_STEP ? 1 : t;
            double c1 = slip == Slip.NO_BIAS_CORRECTION ? 1 : 1 - Math.pow(beta1, power);
            double c2 = slip == Slip.NO_BIAS_CORRECTION ? 1 : 1 - Math.pow(b2, power);
            for (int i = 0; i < w.length; i++) {
                double gi = g[i];
                switch (slip) {
                    case DECAY_IN_THE_GRADIENT -> gi += decay * w[i];
                    case DECAY_WITHOUT_RATE -> w[i] -= decay * w[i];
                    case NO_DECAY -> {
                    }
                    default -> w[i] -= lr * decay * w[i];
                }
                m[i] = beta1 * m[i] + (1 - beta1) * gi;
                v[i] = b2 * v[i] + (1 - b2) * gi * gi;
                double second = v[i] / c2;
                w[i] -= lr * (m[i] / c1) / switch (slip) {
                    case NO_ROOT -> second + eps;
                    case EPS_INSIDE_THE_ROOT -> Math.sqrt(second + eps);
                    default -> Math.sqrt(second) + eps;
                };
            }
            path[t - 1] = w.clone();
        }
        return path;
    }

    private static double[] clipped(double[] g, double most, Slip slip) {
        double norm = norm(g);
        double[] y = g.clone();
        for (int i = 0; i < y.length && most > 0; i++) {
            y[i] *= switch (slip) {
                case CLIPPED_ALWAYS -> most / norm;
                case CLIPPED_BY_VALUE -> Math.min(1, most / Math.abs(g[i]));
                default -> Math.min(1, most / (norm + 1e-6));
            };
        }
        return y;
    }

    private static double norm(double[] g) {
        double squares = 0;
        for (double x : g) {
            squares += x * x;
        }
        return Math.sqrt(squares);
    }

    /// The weights after each gradient, each step with a rate of its own.
    public static double[][] sgd(
            double[] start, double[][] gradients, double[] rates, double momentum, double decay, Slip slip) {
        double[][] path = new double[gradients.length][];
        double[] w = start.clone();
        double[] v = new double[w.length];
        for (int t = 0; t < gradients.length; t++) {
            for (int i = 0; i < w.length; i++) {
                double g = gradients[t][i] + (slip == Slip.NO_DECAY ? 0 : decay * w[i]);
                v[i] = momentum * v[i] + switch (slip) {
                    case AVERAGED_VELOCITY -> (1 - momentum) * g;
                    case RATE_INSIDE_THE_VELOCITY -> rates[t] * g;
                    default -> g;
                };
                w[i] -= switch (slip) {
                    case ASCENT -> -rates[t] * v[i];
                    case NESTEROV_UNASKED -> rates[t] * (g + momentum * v[i]);
                    case RATE_INSIDE_THE_VELOCITY -> v[i];
                    default -> rates[t] * v[i];
                };
            }
            path[t] = w.clone();
        }
        return path;
    }

    /// Up in a line from 0, then down half a cosine to the floor.
    public static double cosine(int step, int total, int warmup, double peak, double floor, Slip slip) {
        if (step < warmup) {
            return peak * (slip == Slip.WARM_UP_ONE_STEP_AHEAD ? step + 1 : step) / warmup;
        }
        double progress = slip == Slip.COSINE_OVER_ALL_STEPS ? (double) step / total
                : (double) (step - warmup) / (total - warmup);
        double half = 0.5 * (1 + Math.cos(slip == Slip.NO_PI ? progress : Math.PI * progress));
        return switch (slip) {
            case NO_FLOOR -> peak * half;
            case FLOOR_ADDED -> floor + peak * half;
            default -> floor + (peak - floor) * half;
        };
    }

    /// Where x^2 + x + 1 is least, from a start in so many steps.
    public static double descent(double start, double lr, int steps, Slip slip) {
        double x = start;
        double grad = 0;
        for (int i = 0; i < steps; i++) {
            double slope = slip == Slip.VALUE_IN_PLACE_OF_SLOPE ? x * x + x + 1 : 2 * x + 1;
            grad = slip == Slip.NO_ZERO_GRAD ? grad + slope : slope;
            double rate = slip == Slip.RATE_TOO_LARGE ? 1.1 : lr;
            x += slip == Slip.ASCENT ? rate * grad : -rate * grad;
        }
        return x;
    }

    static List<Exercise> exercises() {
        double[][] tiny = {{1e-8}, {-2e-8}}; // eps decides
        double[][] two = {{1}, {1}};
        return List.of(
                Exercise.of("adamw").golden("adamw", OptimizerMistakes::adamW, Slip.NONE,
                        List.of(Slip.NO_BIAS_CORRECTION, Slip.CORRECTED_BY_ONE_STEP, Slip.DECAY_IN_THE_GRADIENT,
                                Slip.DECAY_WITHOUT_RATE, Slip.ONE_BETA, Slip.NO_ROOT, Slip.CLIPPED_BY_VALUE))
                        .numbers(() -> new double[] {-0.1 / 2},
                                s -> adamW(new double[1], new double[][] {tiny[0]}, 0.1, 0.9, 0.99, 1e-8, 0, 0, s)[0],
                                Slip.NONE, List.of(Slip.EPS_INSIDE_THE_ROOT))
                        .numbers(() -> new double[] {-0.1, -0.2}, // a gradient of 1 is no longer than 5: nothing is cut
                                s -> firsts(adamW(new double[1], two, 0.1, 0, 0.99, 0.01, 0, 5, s), 1.01),
                                Slip.NONE, List.of(Slip.CLIPPED_ALWAYS)),
                Exercise.of("sgd").golden("sgd", OptimizerMistakes::sgd, Slip.NONE,
                        List.of(Slip.AVERAGED_VELOCITY, Slip.NO_DECAY, Slip.ASCENT, Slip.NESTEROV_UNASKED))
                        .numbers(() -> new double[] {-1, -1 - 0.1 * 1.9},
                                s -> firsts(sgd(new double[1], two, new double[] {1, 0.1}, 0.9, 0, s), 1), Slip.NONE,
                                List.of(Slip.RATE_INSIDE_THE_VELOCITY)),
                Exercise.of("cosine-schedule").golden("cosine_schedule", OptimizerMistakes::cosine, Slip.NONE,
                        List.of(Slip.NO_PI, Slip.COSINE_OVER_ALL_STEPS, Slip.NO_FLOOR, Slip.FLOOR_ADDED,
                                Slip.WARM_UP_ONE_STEP_AHEAD)),
                Exercise.of("gradient-descent").numbers(() -> new double[] {-0.5},
                        s -> new double[] {descent(3, 0.1, 100, s)}, Slip.NONE,
                        List.of(Slip.ASCENT, Slip.NO_ZERO_GRAD, Slip.RATE_TOO_LARGE, Slip.VALUE_IN_PLACE_OF_SLOPE)));
    }

    /// The first weight after each step, times a factor.
    private static double[] firsts(double[][] path, double factor) {
        return Arrays.stream(path).mapToDouble(w -> w[0] * factor).toArray();
    }

    private static double[][] gradients(GoldenCase.Run r) {
        int n = 0;
        while (r.find("grad" + n).isPresent()) {
            n++;
        }
        double[][] all = new double[n][];
        for (int i = 0; i < n; i++) {
            all[i] = r.input("grad" + i).toDoubles();
        }
        return all;
    }

    private static Map<String, Tensor> steps(Tensor w, double[][] path) {
        Map<String, Tensor> out = new LinkedHashMap<>();
        for (int i = 0; i < path.length; i++) {
            out.put("step" + i, Tensor.of(path[i], path[i].length).to(DType.F32).reshape(w.shape()));
        }
        return out;
    }

    private static Component adamW(Slip slip) {
        return r -> {
            Tensor w = r.parameter("w");
            double[][] g = gradients(r);
            double clip = r.config().real("clip_grad_norm", 0);
            Map<String, Tensor> out = steps(w, adamW(w.toDoubles(), g, r.config().real("lr"),
                    r.config().real("beta1"), r.config().real("beta2"), r.config().real("eps"),
                    r.config().real("weight_decay"), clip, slip));
            for (int i = 0; i < g.length && clip > 0; i++) {
                out.put("norm" + i, Tensor.scalar(norm(g[i])));
            }
            return out;
        };
    }

    private static Component sgd(Slip slip) {
        return r -> {
            Tensor w = r.parameter("w");
            double[][] g = gradients(r);
            double[] rates = new double[g.length];
            Arrays.fill(rates, r.config().real("lr"));
            return steps(w, sgd(w.toDoubles(), g, rates, r.config().real("momentum", 0),
                    r.config().real("weight_decay", 0), slip));
        };
    }

    private static Component cosine(Slip slip) {
        return r -> {
            int total = r.config().integer("total_steps");
            double[] rates = new double[total + 1];
            for (int i = 0; i <= total; i++) {
                rates[i] = cosine(i, total, r.config().integer("warmup_steps"), r.config().real("max_lr"),
                        r.config().real("min_lr", 0), slip);
            }
            return Map.of("y", Tensor.of(rates, total + 1));
        };
    }
}
