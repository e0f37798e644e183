package dev.deckle.nn;

import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/// Many feed-forward networks of which each token sees a few: the parameters of all, the cost of those.
///
/// The tokens of one expert go through it together; the results are then put back in the order of the tokens, so that
/// the sum over a token's experts is a plain one.
///
/// - **Formula**: y = sum over the chosen experts e of weight_e expert_e(x)
/// - **Shapes**: x (B, T, hidden), y (B, T, hidden)
/// - **Cost**: k experts for each token, each 6 hidden intermediate operations, whatever the number of experts is
/// - **Source**: Shazeer et al. 2017; DeepSeekMoE (Dai et al. 2024)
/// - **PyTorch**: Hugging Face's `Qwen3MoeSparseMoeBlock`, `DeepseekV3MoE` without its shared expert
/// - **Classic mistake**: a loop over tokens in place of experts, which multiplies by the same matrix again and again
///
/// @param router chooses
/// @param experts all of one shape
public record MixtureOfExperts(ExpertRouter router, List<SwiGluMlp> experts) {
    public MixtureOfExperts {
        experts = List.copyOf(experts);
    }

    public Tensor forward(Tensor x) {
        int hidden = x.dim(-1);
        Tensor tokens = x.reshape(-1, hidden); // (N, hidden)
        ExpertRouter.Routes routes = router.route(tokens);
        int k = routes.weights().dim(1);
        List<Tensor> results = new ArrayList<>();
        long[] place = new long[routes.experts().length]; // where the result for token n's i-th expert is
        long done = 0;
        for (int e = 0; e < experts.size(); e++) {
            List<Long> mine = new ArrayList<>();
            for (int i = 0; i < place.length; i++) {
                if (routes.experts()[i] == e) {
                    place[i] = done + mine.size();
                    mine.add((long) (i / k));
                }
            }
            if (!mine.isEmpty()) {
                Tensor rows = Functional.embedding(tokens, Tensor.of(mine.stream().mapToLong(n -> n).toArray()));
                results.add(experts.get(e).forward(rows)); // (mine, hidden)
                done += mine.size();
            }
        }
        Tensor each = Functional.embedding(Functional.concat(results, 0), Tensor.of(place, tokens.dim(0), k));
        return each.mul(routes.weights().unsqueeze(-1)).sum(1, false).reshape(x.shape()); // (N, k, hidden) and back
    }
}
