package dev.deckle.mistakes;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/// Choosing the next token: top-k, top-p, min-p and beam search on plain arrays.
public final class GenerationMistakes {
    public enum Slip implements dev.deckle.mistakes.Slip {
        NONE(""),
        ZERO_IN_PLACE_OF_MINUS_INFINITY("dropped logits are set to 0, which is a probability like any other"),
        NOT_RENORMALISED("what is kept no longer sums to 1: cut after softmax and left there"),
        SMALLEST_KEPT("sorted upwards and cut from the front: sort() is ascending unless it is told otherwise"),
        TIES_ALL_KEPT("logits >= the k-th keeps every one that equals it: more than k where there are ties"),
        CROSSING_TOKEN_DROPPED("the token that crosses p is dropped: the mask was not shifted by one"),
        VOCABULARY_ORDER("probabilities are summed in the order of the vocabulary, not from the most likely on"),
        MASK_NOT_UNSORTED("the mask of sorted places is laid over unsorted logits: scatter is missing"),
        ABSOLUTE_THRESHOLD("p >= min_p in place of p >= min_p times the largest: a flat distribution loses everything"),
        OF_THE_LOGITS("min_p times the largest logit: a ratio of logits means nothing"),
        GREEDY("only the most likely continuation of each step is kept: a beam of width 1"),
        PROBABILITIES_ADDED("probabilities are added where logarithms should be: longer is always better"),
        GOES_ON_AFTER_THE_END("a hypothesis that has ended is extended like the others"),
        LAST_SCORE_ALONE("new beams are ranked by their last token: score + is forgotten"),
        SUM_IN_PLACE_OF_MEAN("hypotheses of different lengths are compared by their sums: the shortest wins"),
        ONE_CONTINUATION_A_BEAM("each beam keeps its own best: the beams never compete");

        private final String why;

        Slip(String why) {
            this.why = why;
        }

        @Override
        public String why() {
            return why;
        }
    }

    private static final double MINUS_INFINITY = Double.NEGATIVE_INFINITY;

    private GenerationMistakes() {}

    /// The probabilities of all tokens when only the k most likely may come.
    public static double[] topK(double[] logits, int k, Slip slip) {
        int[] order = order(logits, slip);
        boolean[] kept = new boolean[logits.length];
        for (int i = 0; i < k; i++) {
            kept[order[i]] = true;
        }
        for (int i = 0; i < logits.length && slip == Slip.TIES_ALL_KEPT; i++) {
            kept[i] = logits[i] >= logits[order[k - 1]];
        }
        return kept(logits, kept, slip);
    }

    /// The same with the fewest tokens, from the most likely on, whose probabilities together reach p.
    public static double[] topP(double[] logits, double p, Slip slip) {
        double[] all = softmax(logits);
        int[] order = slip == Slip.VOCABULARY_ORDER ? IntStream.range(0, logits.length).toArray() : order(logits, slip);
        boolean[] kept = new boolean[logits.length];
        double sum = 0;
        for (int i = 0; i < order.length; i++) {
            double before = sum;
            sum += all[order[i]];
            int place = slip == Slip.MASK_NOT_UNSORTED ? i : order[i];
            kept[place] = slip == Slip.CROSSING_TOKEN_DROPPED ? sum <= p || i == 0 : before < p;
        }
        return kept(logits, kept, slip);
    }

    /// The same with the tokens at least `minP` times as likely as the likeliest.
    public static double[] minP(double[] logits, double minP, Slip slip) {
        double[] all = softmax(logits);
        double most = Arrays.stream(all).max().orElseThrow();
        double largest = Arrays.stream(logits).max().orElseThrow();
        boolean[] kept = new boolean[logits.length];
        for (int i = 0; i < kept.length; i++) {
            kept[i] = switch (slip) {
                case ABSOLUTE_THRESHOLD -> all[i] >= minP;
                case OF_THE_LOGITS -> logits[i] >= minP * largest;
                default -> all[i] >= minP * most;
            };
        }
        return kept(logits, kept, slip);
    }

    private static double[] kept(double[] logits, boolean[] kept, Slip slip) {
        double dropped = slip == Slip.ZERO_IN_PLACE_OF_MINUS_INFINITY ? 0 : MINUS_INFINITY;
        double[] all = softmax(logits);
        return slip == Slip.NOT_RENORMALISED
                ? IntStream.range(0, all.length).mapToDouble(i -> kept[i] ? all[i] : 0).toArray()
                : softmax(IntStream.range(0, all.length).mapToDouble(i -> kept[i] ? logits[i] : dropped).toArray());
    }

    /// Tokens from the most likely on, the earlier of two equals first.
    private static int[] order(double[] logits, Slip slip) {
        Comparator<Integer> rising = Comparator.comparingDouble(i -> logits[i]);
        return IntStream.range(0, logits.length)
                .boxed()
                .sorted(slip == Slip.SMALLEST_KEPT ? rising : rising.reversed())
                .mapToInt(i -> i)
                .toArray();
    }

    private static double[] softmax(double[] x) {
        double most = Arrays.stream(x).max().orElseThrow();
        double sum = Arrays.stream(x).map(v -> Math.exp(v - most)).sum();
        return Arrays.stream(x).map(v -> Math.exp(v - most) / sum).toArray();
    }

    private record Beam(List<Integer> tokens, double score) {
        Beam and(int token, double more) {
            List<Integer> longer = new ArrayList<>(tokens);
            longer.add(token);
            return new Beam(longer, score + more);
        }

        int last() {
            return tokens.getLast();
        }

        double mean() {
            return score / (tokens.size() - 1); // the first token was given
        }
    }

    /// The sequence of the highest mean log-probability that a beam finds, from token 0 on: it ends with the end token
    /// or after `most` new ones.
    ///
    /// @param logp (V, V), of each next token after each
    public static double[] beamSearch(double[][] logp, int end, int width, int most, Slip slip) {
        List<Beam> beams = List.of(new Beam(List.of(0), 0));
        List<Beam> finished = new ArrayList<>();
        for (int step = 0; step < most; step++) {
            List<Beam> next = new ArrayList<>();
            for (Beam beam : beams) {
                List<Beam> grown = best(continuations(logp, beam, slip), Comparator.comparingDouble(Beam::score),
                        slip == Slip.ONE_CONTINUATION_A_BEAM && step > 0 ? 1 : logp.length);
                next.addAll(grown);
            }
            beams = best(next, Comparator.comparingDouble(Beam::score), slip == Slip.GREEDY ? 1 : width);
            if (slip != Slip.GOES_ON_AFTER_THE_END) {
                finished.addAll(beams.stream().filter(b -> b.last() == end).toList());
                beams = beams.stream().filter(b -> b.last() != end).toList();
            }
        }
        finished.addAll(beams);
        Comparator<Beam> rank =
                Comparator.comparingDouble(slip == Slip.SUM_IN_PLACE_OF_MEAN ? Beam::score : Beam::mean);
        return best(finished, rank, 1).getFirst().tokens().stream().mapToDouble(t -> t).toArray();
    }

    private static List<Beam> continuations(double[][] logp, Beam beam, Slip slip) {
        Beam from = slip == Slip.LAST_SCORE_ALONE ? new Beam(beam.tokens, 0) : beam;
        double[] row = logp[beam.last()];
        return IntStream.range(0, row.length)
                .mapToObj(t -> from.and(t, slip == Slip.PROBABILITIES_ADDED ? Math.exp(row[t]) : row[t]))
                .toList();
    }

    private static List<Beam> best(List<Beam> beams, Comparator<Beam> rising, int n) {
        return beams.stream().sorted(rising.reversed()).limit(n).toList();
    }

    /// The same by trying every sequence.
    public static double[] exhaustiveSearch(double[][] logp, int end, int most) {
        return everything(logp, end, most, new Beam(List.of(0), 0)).stream()
                .max(Comparator.comparingDouble(Beam::mean))
                .orElseThrow()
                .tokens()
                .stream()
                .mapToDouble(t -> t)
                .toArray();
    }

    private static List<Beam> everything(double[][] logp, int end, int most, Beam beam) {
        if (beam.tokens.size() > 1 && beam.last() == end || beam.tokens.size() > most) {
            return List.of(beam);
        }
        return continuations(logp, beam, Slip.NONE).stream()
                .flatMap(b -> everything(logp, end, most, b).stream())
                .toList();
    }

    /// Rows of probabilities to logarithms.
    private static double[][] logs(double[][] p) {
        return Arrays.stream(p).map(row -> Arrays.stream(row).map(Math::log).toArray()).toArray(double[][]::new);
    }

    static List<Exercise> exercises() {
        double[] logits = {1, 3, 2, 2, -1};
        double[] e = Arrays.stream(logits).map(Math::exp).toArray();
        double two = e[1] + e[2];
        double three = two + e[3];
        double[][] logp = logs(new double[][] { // token 3 ends; the best is 0 2 1 3
            {0.35, 0.12, 0.44, 0.09}, {0.02, 0.02, 0.02, 0.94}, {0.25, 0.29, 0.06, 0.40}, {0.18, 0.03, 0.77, 0.02}
        });
        return List.of(
                Exercise.of("top-k").numbers(() -> new double[] {0, e[1] / two, e[2] / two, 0, 0},
                        s -> topK(logits, 2, s), Slip.NONE, List.of(Slip.ZERO_IN_PLACE_OF_MINUS_INFINITY,
                                Slip.NOT_RENORMALISED, Slip.SMALLEST_KEPT, Slip.TIES_ALL_KEPT)),
                Exercise.of("top-p").numbers(() -> new double[] {0, e[1] / three, e[2] / three, e[3] / three, 0},
                        s -> topP(logits, 0.8, s), Slip.NONE, List.of(Slip.CROSSING_TOKEN_DROPPED,
                                Slip.VOCABULARY_ORDER, Slip.MASK_NOT_UNSORTED, Slip.NOT_RENORMALISED,
                                Slip.ZERO_IN_PLACE_OF_MINUS_INFINITY)),
                Exercise.of("min-p").numbers(() -> new double[] {0, e[1] / three, e[2] / three, e[3] / three, 0},
                        s -> minP(logits, 0.3, s), Slip.NONE, List.of(Slip.ABSOLUTE_THRESHOLD, Slip.OF_THE_LOGITS,
                                Slip.NOT_RENORMALISED, Slip.ZERO_IN_PLACE_OF_MINUS_INFINITY)),
                Exercise.of("beam-search")
                        .numbers(() -> exhaustiveSearch(logp, 3, 4), s -> beamSearch(logp, 3, 3, 4, s), Slip.NONE,
                                List.of(Slip.GREEDY, Slip.LAST_SCORE_ALONE, Slip.PROBABILITIES_ADDED,
                                        Slip.ONE_CONTINUATION_A_BEAM, Slip.SUM_IN_PLACE_OF_MEAN,
                                        Slip.GOES_ON_AFTER_THE_END)));
    }
}
