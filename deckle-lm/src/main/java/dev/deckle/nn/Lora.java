package dev.deckle.nn;

import java.util.List;
import java.util.function.Supplier;

/// Low-rank adaptation: a matrix that was learned stays as it is, and a product of two narrow ones beside it learns.
/// B starts at zero, so a new adapter changes nothing.
///
/// Every [Linear] whose name is a target asks [Weights] for its adapter, in every family: matrices of attention and of
/// feed-forward networks, experts, latents. What is merged ([dev.deckle.models.Conversion]) costs nothing any more.
///
/// - **Formula**: y = x W^T + b + s dropout(x) A^T B^T, s = alpha / r, or alpha / sqrt(r) where it is rank-stabilised;
///   merged W + s B A
/// - **Shapes**: x (..., in), A `lora_A.weight` (r, in), B `lora_B.weight` (out, r), y (..., out)
/// - **Cost**: 2 r (in + out) operations a row forward beside 2 in out; gradients, moments and a checkpoint of
///   r (in + out) numbers in place of in out
/// - **Source**: Hu et al. 2021; Kalajdzievski 2023 (alpha / sqrt(r))
/// - **PyTorch**: `peft.LoraConfig`
/// - **Classic mistake**: both matrices at zero, which then never learn; forgetting alpha / r when merging; dropout on
///   W's input too; the reference model without the adapter taken from what is already merged
///
/// @param rank r
/// @param alpha how much the adapter counts
/// @param dropout of what goes into the adapter, in training
/// @param targetModules names of layers, each the last component of a path or several of them (`q_proj`,
///     `mlp.c_proj`); [#ALL_LINEAR] alone is every linear layer but the head
/// @param rankStabilised whether s is alpha / sqrt(r)
public record Lora(int rank, double alpha, double dropout, List<String> targetModules, boolean rankStabilised) {
    /// In place of names: every linear layer but the head.
    public static final String ALL_LINEAR = "all-linear";

    static final String A = "lora_A.weight";
    static final String B = "lora_B.weight";

    private static final List<String> HEADS = List.of("lm_head", "score"); // of words, and of a reward

    private static final ScopedValue<Boolean> OFF = ScopedValue.newInstance();
    private static final ScopedValue<Pass> PASS = ScopedValue.newInstance();

    public Lora {
        if (rank < 1) {
            throw new IllegalArgumentException("the rank of an adapter must be at least 1, not " + rank);
        }
        if (!(alpha > 0 && alpha < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("the alpha of an adapter must be a number above 0, not " + alpha);
        }
        new Dropout(dropout); // refuses what is no probability
        targetModules = List.copyOf(targetModules);
        if (targetModules.isEmpty() || targetModules.stream().anyMatch(String::isBlank)) {
            throw new IllegalArgumentException("an adapter needs target_modules: names of layers, or " + ALL_LINEAR);
        }
    }

    /// With s = alpha / r.
    public Lora(int rank, double alpha, double dropout, List<String> targetModules) {
        this(rank, alpha, dropout, targetModules, false);
    }

    /// s: what the product of the two matrices is multiplied by.
    public double scale() {
        return alpha / (rankStabilised ? Math.sqrt(rank) : rank);
    }

    /// Whether the linear layer of a path, such as `model.layers.0.self_attn.q_proj`, has an adapter.
    public boolean targets(String path) {
        return targetModules.stream().anyMatch(target -> target.equals(ALL_LINEAR)
                ? HEADS.stream().noneMatch(head -> names(head, path))
                : names(target, path));
    }

    static boolean names(String target, String path) {
        return path.equals(target) || path.endsWith("." + target);
    }

    /// Whether a parameter belongs to an adapter.
    public static boolean isAdapter(String parameter) {
        return parameter.endsWith("." + A) || parameter.endsWith("." + B);
    }

    /// Whether a parameter belongs to the model below: what does not learn.
    public static boolean isBase(String parameter) {
        return !isAdapter(parameter);
    }

    /// What `work` computes without adapters: the model below, which is the reference model, without a copy of it.
    ///
    /// It holds for what this thread does in `work`, scopes within it included. Keys and values of a cache that was
    /// filled with the adapter on are those of the adapted model still.
    public static <R> R off(Supplier<R> work) {
        return ScopedValue.where(OFF, true).call(work::get);
    }

    /// Whether this thread's work is to be done without adapters.
    public static boolean isOff() {
        return OFF.isBound();
    }

    /// Tells the adapters that run in `work` what the pass is for: they have dropout where linear layers have none.
    public static <R> R during(Pass pass, Supplier<R> work) {
        return pass.random().isEmpty() ? work.get() : ScopedValue.where(PASS, pass).call(work::get);
    }

    static Pass pass() {
        return PASS.isBound() ? PASS.get() : Pass.evaluate();
    }
}
