package dev.deckle.models;

import dev.deckle.nn.RopeScaling;
import dev.deckle.nn.RotaryEmbedding;
import java.util.Optional;

/// The rotary positions of a `config.json`: `rope_theta` with `rope_scaling`, or both in `rope_parameters`.
///
/// @param theta the base of the frequencies
/// @param mscaleAllDim how much YaRN sharpens attention through the scale of the scores; 0 for not at all (DeepSeek)
public record Rotary(double theta, RopeScaling scaling, double mscaleAllDim) {
    /// Frequencies as they are.
    public static Rotary plain(double theta) {
        return new Rotary(theta, new RopeScaling.None(), 0);
    }

    /// @param context `max_position_embeddings`
    static Rotary read(ConfigReader c, int context) {
        Optional<ConfigReader> inner = c.object("rope_scaling").or(() -> c.object("rope_parameters"));
        ConfigReader r = inner.orElse(c);
        ConfigReader theta = inner.filter(i -> i.has("rope_theta")).orElse(c);
        for (ConfigReader at : new ConfigReader[] {r, c}) {
            if (at.real("partial_rotary_factor", 0, Optional.of(1.0)) != 1) {
                throw at.bad("partial_rotary_factor", "1: turning a part of each head is not supported");
            }
        }
        return new Rotary(theta.real("rope_theta", 1, Optional.of(10_000.0)),
                inner.map(s -> scaling(s, original(c, s, context), context)).orElse(new RopeScaling.None()),
                inner.map(s -> s.real("mscale_all_dim", -1e-9, Optional.of(0.0))).orElse(0.0));
    }

    /// How many positions the model was trained with: beside the scaling, or else in it.
    private static double original(ConfigReader c, ConfigReader s, int context) {
        String key = "original_max_position_embeddings";
        return (c.has(key) ? c : s).real(key, 0, Optional.of((double) context));
    }

    private static RopeScaling scaling(ConfigReader s, double original, int context) {
        return switch (s.text("rope_type", s.text("type", "default"))) {
            case "default" -> new RopeScaling.None();
            case "linear" -> new RopeScaling.Linear(s.real("factor", 0, Optional.empty()));
            case "dynamic" -> new RopeScaling.Dynamic(s.real("factor", 0, Optional.empty()), context);
            case "llama3" -> {
                double low = s.real("low_freq_factor", 0, Optional.empty());
                yield new RopeScaling.Llama3(s.real("factor", 0, Optional.empty()), low,
                        s.real("high_freq_factor", low, Optional.empty()), original);
            }
            case "yarn" -> yarn(s, original, context);
            default -> throw s.bad(s.has("rope_type") ? "rope_type" : "type",
                    "default, linear, dynamic, llama3 or yarn");
        };
    }

    private static RopeScaling yarn(ConfigReader s, double original, int context) {
        double factor = s.real("factor", 0, Optional.of(context / original));
        double mscale = s.real("mscale", -1e-9, Optional.of(0.0));
        double allDim = s.real("mscale_all_dim", -1e-9, Optional.of(0.0));
        double sharpening = mscale > 0 && allDim > 0
                ? RopeScaling.Yarn.sharpening(factor, mscale) / RopeScaling.Yarn.sharpening(factor, allDim)
                : RopeScaling.Yarn.sharpening(factor, 1);
        return new RopeScaling.Yarn(factor, s.real("beta_fast", 0, Optional.of(32.0)),
                s.real("beta_slow", 0, Optional.of(1.0)), original, s.flag("truncate", true),
                s.real("attention_factor", 0, Optional.of(sharpening)));
    }

    /// For heads of a width.
    RotaryEmbedding embedding(int headDim, RotaryEmbedding.Layout layout) {
        return new RotaryEmbedding(headDim, theta, scaling, layout);
    }

    /// What multiplies the scores besides 1/sqrt(D), where YaRN acts on all dimensions of a head.
    double scoreScale() {
        if (mscaleAllDim > 0 && scaling instanceof RopeScaling.Yarn y) {
            return Math.pow(RopeScaling.Yarn.sharpening(y.factor(), mscaleAllDim), 2);
        }
        return 1;
    }

    /// How many positions a model can take whose `max_position_embeddings` is `context`.
    int reach(int context) {
        return (int) Math.min(scaling.reach(context), 1 << 24); // the tables of a rotary embedding end there
    }
}
