package dev.deckle.kernel;

/// Functions of one element, each beside its derivative. The scalar definition here is what every backend is judged by.
public enum UnaryFn {
    NEG,
    ABS,
    SIGN,
    EXP,
    LOG,
    SQRT,
    RSQRT,
    RECIPROCAL,
    SIN,
    COS,
    TANH,
    ERF,
    SIGMOID,
    LOG_SIGMOID,
    RELU,
    SILU,
    GELU,
    GELU_TANH;

    private static final double INV_SQRT_2 = Math.sqrt(0.5);
    private static final double TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);
    private static final double SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

    /// f(x).
    public double of(double x) {
        return switch (this) {
            case NEG -> -x;
            case ABS -> Math.abs(x);
            case SIGN -> Math.signum(x);
            case EXP -> Math.exp(x);
            case LOG -> Math.log(x);
            case SQRT -> Math.sqrt(x);
            case RSQRT -> 1 / Math.sqrt(x);
            case RECIPROCAL -> 1 / x;
            case SIN -> Math.sin(x);
            case COS -> Math.cos(x);
            case TANH -> Math.tanh(x);
            case ERF -> erf(x);
            case SIGMOID -> sigmoid(x);
            case LOG_SIGMOID -> Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));
            case RELU -> x > 0 ? x : x != x ? x : 0; // NaN stays NaN
            case SILU -> x * sigmoid(x);
            case GELU -> x * 0.5 * (1 + erf(x * INV_SQRT_2));
            case GELU_TANH -> 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x)));
        };
    }

    /// f'(x); at a kink the value that PyTorch takes (0 for ABS and RELU at 0).
    public double derivative(double x) {
        return switch (this) {
            case NEG -> -1;
            case ABS -> Math.signum(x);
            case SIGN -> 0;
            case EXP -> Math.exp(x);
            case LOG -> 1 / x;
            case SQRT -> 0.5 / Math.sqrt(x);
            case RSQRT -> -0.5 / (x * Math.sqrt(x));
            case RECIPROCAL -> -1 / (x * x);
            case SIN -> Math.cos(x);
            case COS -> -Math.sin(x);
            case TANH -> 1 - Math.tanh(x) * Math.tanh(x);
            case ERF -> TWO_OVER_SQRT_PI * Math.exp(-x * x);
            case SIGMOID -> sigmoid(x) * sigmoid(-x);
            case LOG_SIGMOID -> sigmoid(-x);
            case RELU -> x > 0 ? 1 : 0;
            case SILU -> sigmoid(x) * (1 + x * sigmoid(-x));
            case GELU -> 0.5 * (1 + erf(x * INV_SQRT_2)) + x * Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
            case GELU_TANH -> {
                double t = Math.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x));
                yield 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x);
            }
        };
    }

    private static double sigmoid(double x) {
        return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
    }

    /// The error function: its power series near zero, the continued fraction of erfc (Lentz) in the tails.
    private static double erf(double x) {
        double a = Math.abs(x);
        if (!(a < 6)) {
            return Math.signum(x); // 1 - erf(6) is below 1e-16
        }
        if (a < 2.5) {
            double term = x;
            double sum = x;
            for (int n = 1; n < 200 && Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
                term *= 2 * x * x / (2 * n + 1);
                sum += term;
            }
            return TWO_OVER_SQRT_PI * Math.exp(-x * x) * sum;
        }
        double fraction = a;
        for (int n = 60; n >= 1; n--) {
            fraction = a + 0.5 * n / fraction;
        }
        double erfc = Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction);
        return Math.signum(x) * (1 - erfc);
    }
}
