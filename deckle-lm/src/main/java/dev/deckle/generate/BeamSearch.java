package dev.deckle.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.stream.Stream;

/// The likeliest continuations of a prompt, searched for with a few beams at once: each step continues every beam with
/// every token and keeps the likeliest of all of these. A candidate that ends is not continued but kept apart, scored
/// by its length.
///
/// Candidates are the `max(2, 1 + end tokens) * numBeams` likeliest, so that enough go on however many of them end.
/// Only the first numBeams of them may finish: a candidate that ends further down would not have been kept either.
///
/// - **Formula**: sum over beam and token: log p(beam) + log p(token | beam). A finished one scores
///   sum / n^length_penalty with n new tokens, the end token counted, the prompt not. A penalty above 0 favours long
///   ones (the sum is negative), below 0 short ones.
/// - **Shapes**: log-probabilities (beams, vocab); the first step has the prompt as its only beam.
/// - **Cost**: numBeams rows a step, computed in one pass, of which the weights are read once; choosing is
///   O(numBeams vocab) by a [TopK].
/// - **Source**: Lowerre 1976, The HARPY Speech Recognition System; Wu et al. 2016, Google's Neural Machine Translation
///   System (section 7, length normalisation).
/// - **PyTorch**: transformers' `generate(num_beams=..., length_penalty=..., early_stopping=...)`, version 5. Differs
///   where a vocabulary is so small that the first step has fewer candidates than beams: there it is filled up with
///   copies of the prompt that count as nearly impossible, here it is not. Impossible tokens (-Infinity) are no
///   candidates.
/// - **Classic mistake**: starting with numBeams copies of the prompt that all count: they stay copies of each other
///   for ever, and the search is greedy. Or dividing by a length that includes the prompt.
///
/// @param numBeams how many go on at once
/// @param lengthPenalty the exponent of the length in a score
/// @param earlyStopping when enough is known
public record BeamSearch(int numBeams, double lengthPenalty, EarlyStopping earlyStopping) {
    /// When a search with numBeams finished sequences ends.
    public enum EarlyStopping {
        /// When the likeliest beam, scored as if it ended now, does not beat the worst of them: a heuristic, because
        /// with a positive penalty a longer beam may yet score better.
        FALSE,
        /// At once.
        TRUE,
        /// When no beam can beat the worst of them at whatever length: exact for a penalty of 0 and above.
        NEVER
    }

    static final int MOST_PENALTY = 100;

    public BeamSearch {
        if (numBeams < 1) {
            throw new IllegalArgumentException("num-beams must be at least 1, not " + numBeams);
        }
        if (!(Math.abs(lengthPenalty) <= MOST_PENALTY)) {
            throw new IllegalArgumentException("length-penalty must be from -" + MOST_PENALTY + " to "
                    + "" + MOST_PENALTY + ", not " + lengthPenalty);
        }
    }

    /// What the search needs of a model.
    @FunctionalInterface
    public interface NextTokens {
        /// The natural logarithms of the probabilities of each token after each sequence: (sequences, vocab).
        ///
        /// @param sequences ids, those of the prompt included; the first call has the prompt alone
        /// @param parents for each sequence, which one of the last call it continues by one token
        float[][] logProbs(List<int[]> sequences, int[] parents);
    }

    /// A sequence that goes on.
    ///
    /// @param ids prompt and new tokens
    /// @param logProb the sum over the new tokens
    public record Beam(int[] ids, double logProb) {
        private int[] with(int token) {
            int[] longer = Arrays.copyOf(ids, ids.length + 1);
            longer[ids.length] = token;
            return longer;
        }
    }

    /// A beam continued by a token.
    ///
    /// @param beam which one
    /// @param logProb the sum over the new tokens
    /// @param ends whether it is an end token, or the last one that there is room for
    public record Candidate(int beam, int token, double logProb, boolean ends) {}

    /// A finished sequence.
    ///
    /// @param ids prompt and new tokens
    /// @param score sum of log-probabilities / new tokens ^ length penalty
    public record Hypothesis(int[] ids, double score) {}

    /// A step of the search.
    ///
    /// @param newTokens how many new tokens its candidates have
    /// @param beams what is continued
    /// @param candidates the likeliest continuations, the likeliest first
    /// @param kept those that go on
    /// @param finished the best that have ended so far, the best first
    public record Step(
            int newTokens, List<Beam> beams, List<Candidate> candidates, List<Beam> kept, List<Hypothesis> finished) {}

    /// The best sequences found, at most numBeams, the best first: at least one, unless no token has a probability.
    ///
    /// @param maxNewTokens the most tokens to add; a sequence that has them is finished
    /// @param endTokens the ids that end a sequence
    /// @param listener sees every step
    public List<Hypothesis> search(
            NextTokens model, int[] prompt, int maxNewTokens, Set<Integer> endTokens, Consumer<Step> listener) {
        return search(model, prompt, maxNewTokens, endTokens, _ -> false, listener);
    }

    /// The same where a sequence also ends when `stops` says so of its ids.
    public List<Hypothesis> search(
            NextTokens model, int[] prompt, int maxNewTokens, Set<Integer> endTokens, Predicate<int[]> stops,
            Consumer<Step> listener) {
        List<Beam> beams = List.of(new Beam(prompt, 0));
        List<Hypothesis> finished = maxNewTokens > 0 ? List.of() : List.of(new Hypothesis(prompt, 0));
        int[] parents = {0};
        for (int n = 1; n <= maxNewTokens && !beams.isEmpty() && !done(finished, beams, n - 1, maxNewTokens); n++) {
            float[][] logProbs = model.logProbs(beams.stream().map(Beam::ids).toList(), parents);
            boolean last = n == maxNewTokens;
            List<Beam> now = beams;
            List<Candidate> candidates = candidates(beams, logProbs, endTokens.size(), (beam, token) -> last
                    || endTokens.contains(token) || stops.test(now.get(beam).with(token)));
            finished = finished(finished, beams, candidates, n);
            List<Candidate> going = candidates.stream().filter(c -> !c.ends).limit(numBeams).toList();
            List<Beam> kept = new ArrayList<>();
            for (Candidate c : going) {
                kept.add(new Beam(beams.get(c.beam).with(c.token), c.logProb));
            }
            listener.accept(new Step(n, beams, candidates, List.copyOf(kept), finished));
            beams = kept;
            parents = going.stream().mapToInt(Candidate::beam).toArray();
        }
        return finished;
    }

    /// Whether a beam ends with a token.
    @FunctionalInterface
    private interface Ending {
        boolean ends(int beam, int token);
    }

    /// The likeliest continuations of all beams; of equally likely ones, first the earlier beam, then the smaller id.
    private List<Candidate> candidates(List<Beam> beams, float[][] logProbs, int endTokens, Ending ending) {
        TopK top = new TopK(Math.multiplyExact(Math.max(2, 1 + endTokens), numBeams));
        int vocab = logProbs[0].length;
        for (int b = 0; b < beams.size(); b++) {
            double before = beams.get(b).logProb;
            for (int token = 0; token < vocab; token++) {
                top.push(before + logProbs[b][token]);
            }
        }
        List<Candidate> candidates = new ArrayList<>();
        for (TopK.Entry e : top.largest()) {
            int beam = (int) (e.position() / vocab);
            int token = (int) (e.position() % vocab);
            if (e.value() > Double.NEGATIVE_INFINITY) {
                candidates.add(new Candidate(beam, token, e.value(), ending.ends(beam, token)));
            }
        }
        return List.copyOf(candidates);
    }

    /// Those before and those that end now, as many of the best as there are beams.
    private List<Hypothesis> finished(List<Hypothesis> before, List<Beam> beams, List<Candidate> candidates, int n) {
        Stream<Hypothesis> now = candidates.stream()
                .limit(numBeams)
                .filter(Candidate::ends)
                .map(c -> new Hypothesis(beams.get(c.beam).with(c.token), score(c.logProb, n)));
        return Stream.concat(before.stream(), now)
                .sorted(Comparator.comparingDouble(Hypothesis::score).reversed())
                .limit(numBeams)
                .toList();
    }

    private double score(double logProb, int newTokens) {
        return logProb / Math.pow(newTokens, lengthPenalty);
    }

    /// Whether the likeliest beam, with n new tokens so far, cannot better what is finished.
    private boolean done(List<Hypothesis> finished, List<Beam> beams, int n, int maxNewTokens) {
        if (finished.size() < numBeams) {
            return false;
        }
        int length = earlyStopping == EarlyStopping.NEVER && lengthPenalty > 0 ? maxNewTokens : n;
        return earlyStopping == EarlyStopping.TRUE
                || score(beams.getFirst().logProb, length) <= finished.getLast().score;
    }
}
