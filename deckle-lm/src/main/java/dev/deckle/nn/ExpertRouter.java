package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.IntStream;

/// Decides which experts of a [MixtureOfExperts] see a token, and how much each counts. The choice itself has no
/// gradient; the weights have one, and so the router learns.
///
/// - **Formula**: [Softmax]: p = softmax(x W^T), the k largest, divided by their sum if asked. [GroupedSigmoid]:
///   s = sigmoid(x W^T); by s + bias the best groups are kept, a group counting as its two best experts, and the k best
///   experts in them; their weights are s, without the bias, divided by their sum if asked, times a factor
/// - **Shapes**: x (N, hidden), W (experts, hidden), bias (experts); chosen N x k ids, weights (N, k)
/// - **Cost**: 2 N hidden experts operations
/// - **Source**: Shazeer et al. 2017 (softmax, top k); DeepSeek-V3 2024, section 2.1.2 (groups, and a bias that is
///   moved instead of learned, which balances the load without a loss of its own)
/// - **PyTorch**: Hugging Face's `Qwen3MoeTopKRouter`, `DeepseekV3TopkRouter`
/// - **Classic mistake**: weighting the experts by the biased scores that chose them
public final class ExpertRouter {
    /// How scores become a choice.
    public sealed interface Choice {
        /// How many experts see a token.
        int topK();
    }

    /// @param normTopkProb whether the chosen weights are made to sum to 1
    public record Softmax(int topK, boolean normTopkProb) implements Choice {}

    /// @param groups of experts, which divide their number
    /// @param topkGroup how many groups stay in play
    /// @param scale multiplies the weights in the end
    public record GroupedSigmoid(int topK, boolean normTopkProb, int groups, int topkGroup, double scale)
            implements Choice {}

    /// @param experts of token n: `experts[n * k]` and the k - 1 after it
    /// @param weights (N, k)
    public record Routes(int[] experts, Tensor weights) {}

    private final Tensor weight; // (experts, hidden)
    private final Optional<Tensor> bias; // (experts)
    private final Choice choice;

    public ExpertRouter(Weights w, int hiddenSize, int experts, Choice choice, Init init) {
        weight = w.wide("weight", init, experts, hiddenSize);
        bias = choice instanceof GroupedSigmoid
                ? Optional.of(w.buffer("e_score_correction_bias", Init.zeros(), experts))
                : Optional.empty();
        this.choice = choice;
    }

    /// The experts for each row of x (N, hidden).
    public Routes route(Tensor x) {
        Tensor logits = Functional.linear(x, weight, Optional.empty()); // (N, experts)
        return switch (choice) {
            case Softmax(int k, boolean norm) -> {
                Tensor p = logits.softmax(-1);
                int[] chosen = rowwise(p, row -> top(row, k));
                yield new Routes(chosen, weights(p, chosen, k, norm, 0));
            }
            case GroupedSigmoid g -> {
                Tensor s = logits.sigmoid();
                int[] chosen = rowwise(s.detach().add(bias.orElseThrow()), row -> top(inBestGroups(row, g), g.topK));
                yield new Routes(chosen, weights(s, chosen, g.topK, g.normTopkProb, 1e-20).mul(g.scale));
            }
        };
    }

    private interface Chooser {
        int[] choose(float[] scores);
    }

    private static int[] rowwise(Tensor scores, Chooser chooser) {
        float[] all = scores.detach().toFloats();
        int experts = scores.dim(1);
        return IntStream.range(0, scores.dim(0))
                .flatMap(n -> IntStream.of(chooser.choose(Arrays.copyOfRange(all, n * experts,
                        (n + 1) * experts))))
                .toArray();
    }

    /// The scores, those outside of the best groups at -Infinity.
    private static float[] inBestGroups(float[] scores, GroupedSigmoid g) {
        int size = scores.length / g.groups;
        float[] groups = new float[g.groups];
        for (int i = 0; i < g.groups; i++) {
            float[] group = Arrays.copyOfRange(scores, i * size, (i + 1) * size);
            for (int best : top(group, Math.min(2, size))) {
                groups[i] += group[best];
            }
        }
        float[] kept = new float[scores.length];
        Arrays.fill(kept, Float.NEGATIVE_INFINITY);
        for (int i : top(groups, g.topkGroup)) {
            System.arraycopy(scores, i * size, kept, i * size, size);
        }
        return kept;
    }

    /// The indices of the k largest, the largest first; of equal ones the first.
    private static int[] top(float[] scores, int k) {
        return IntStream.range(0, scores.length)
                .boxed()
                .sorted((a, b) -> Float.compare(scores[b], scores[a]))
                .limit(k)
                .mapToInt(i -> i)
                .toArray();
    }

    /// The chosen scores (N, k), divided by their sum where `norm`.
    private static Tensor weights(Tensor scores, int[] chosen, int k, boolean norm, double eps) {
        long[] index = IntStream.of(chosen).asLongStream().toArray();
        Tensor w = scores.gather(1, Tensor.of(index, scores.dim(0), k));
        return norm ? w.div(w.sum(1, true).add(eps)) : w;
    }
}
