package dev.deckle.mistakes;

import dev.deckle.parity.Component;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Map;

/// Rotary positions as the notebook writes them: x cos + rotate_half(x) sin, with tables of the whole width.
public final class RotaryMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        OTHER_LAYOUT("pairs (2i, 2i+1) where the weights were trained with (i, i + D/2), or the other way round"),
        NO_MINUS("rotate_half without its minus: a stretch, no rotation, and lengths change with the position"),
        TURNED_BACKWARDS("the minus on the wrong half turns the other way: alone it works, with trained weights not"),
        EXPONENT_OF_I_OVER_D("base^(-i/D) in place of base^(-2i/D): arange(0, D/2) where arange(0, D, 2) was meant"),
        POSITIONS_FROM_ONE("positions are counted from 1: scores stay, rotated values do not match the cache's"),
        POSITION_IDS_IGNORED("0, 1, 2, ... in place of position_ids: right until there is padding or a cache"),
        KEYS_NOT_ROTATED("only the query is rotated: scores depend on its absolute position");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private RotaryMistakes() {}

    /// Turns x (..., T, D) by its positions (T).
    public static Tensor rotate(Tensor x, long[] positions, double base, boolean interleaved, Slip slip) {
        int d = x.dim(-1);
        boolean pairs = interleaved != (slip == Slip.OTHER_LAYOUT);
        double[] cos = new double[positions.length * d];
        double[] sin = new double[cos.length];
        for (int t = 0; t < positions.length; t++) {
            long position = switch (slip) {
                case POSITIONS_FROM_ONE -> positions[t] + 1;
                case POSITION_IDS_IGNORED -> t;
                default -> positions[t];
            };
            for (int j = 0; j < d; j++) {
                int i = pairs ? j / 2 : j % (d / 2);
                double exponent = slip == Slip.EXPONENT_OF_I_OVER_D ? -1.0 * i / d : -2.0 * i / d;
                cos[t * d + j] = Math.cos(position * Math.pow(base, exponent));
                sin[t * d + j] = Math.sin(position * Math.pow(base, exponent));
            }
        }
        Tensor c = Tensor.of(cos, positions.length, d).to(x.dtype()); // (T, D)
        Tensor s = Tensor.of(sin, positions.length, d).to(x.dtype());
        return x.mul(c).add(rotateHalf(x, pairs, slip).mul(s));
    }

    /// Each pair (a, b) becomes (-b, a).
    public static Tensor rotateHalf(Tensor x, boolean interleaved, Slip slip) {
        int d = x.dim(-1);
        Tensor a = interleaved ? x.slice(-1, 0, d, 2) : x.slice(-1, 0, d / 2);
        Tensor b = interleaved ? x.slice(-1, 1, d, 2) : x.slice(-1, d / 2, d);
        Tensor first = slip == Slip.NO_MINUS || slip == Slip.TURNED_BACKWARDS ? b : b.neg();
        Tensor second = slip == Slip.TURNED_BACKWARDS ? a.neg() : a;
        return interleaved
                ? Functional.concat(List.of(first.unsqueeze(-1), second.unsqueeze(-1)), -1).reshape(x.shape())
                : Functional.concat(List.of(first, second), -1);
    }

    static List<Exercise> exercises() {
        return List.of(Exercise.of("rope").golden("rope", RotaryMistakes::rope, Slip.NONE, List.of(Slip.OTHER_LAYOUT,
                Slip.NO_MINUS, Slip.TURNED_BACKWARDS, Slip.EXPONENT_OF_I_OVER_D, Slip.POSITIONS_FROM_ONE,
                Slip.POSITION_IDS_IGNORED, Slip.KEYS_NOT_ROTATED)));
    }

    private static Component rope(Slip slip) {
        return r -> {
            r.config().integer("dim");
            boolean interleaved = r.config().text("layout", "half").equals("interleaved");
            double base = r.config().real("base");
            long[] positions = r.input("position_ids").toLongs();
            Tensor k = r.input("k");
            return Map.of("q", rotate(r.input("q"), positions, base, interleaved, slip),
                    "k", slip == Slip.KEYS_NOT_ROTATED ? k.mul(1) : rotate(k, positions, base, interleaved, slip));
        };
    }
}
