package dev.deckle.align;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;

/// Proximal policy optimisation: a policy gradient that stops where the policy has moved far enough, and a value
/// function that moves as carefully.
///
/// - **Formula**: r = exp(logp - logp_old); policy = mean max(-A r, -A clip(r, 1 - c, 1 + c)); value =
///   mean max((V - R)^2, (clip(V, V_old - c_v, V_old + c_v) - R)^2) / 2
/// - **Shapes**: all (B, T), mask 1 for tokens that count; results ()
/// - **Cost**: four models: actor, critic, reference and reward
/// - **Source**: Schulman et al. 2017
/// - **PyTorch**: TRL's former `PPOTrainer`
/// - **Classic mistake**: min in place of max once the sign is inside; means that count padding
public record PpoLoss(double clipRange, double clipRangeValue) {
    public Tensor policy(Tensor logprobs, Tensor oldLogprobs, Tensor advantages, Tensor mask) {
        Tensor ratio = ratio(logprobs, oldLogprobs);
        Tensor against = advantages.detach().neg();
        Tensor losses = against.mul(ratio).maximum(against.mul(clip(ratio, 1 - clipRange, 1 + clipRange)));
        return maskedMean(losses, mask);
    }

    public Tensor value(Tensor values, Tensor oldValues, Tensor returns, Tensor mask) {
        Tensor old = oldValues.detach();
        Tensor target = returns.detach();
        Tensor moved = clip(values.sub(old), -clipRangeValue, clipRangeValue).add(old);
        Tensor losses = values.sub(target).square().maximum(moved.sub(target).square());
        return maskedMean(losses, mask).mul(0.5);
    }

    private static Tensor ratio(Tensor logprobs, Tensor oldLogprobs) {
        return logprobs.sub(oldLogprobs.detach()).exp();
    }

    /// Tokens whose policy has moved so far that they no longer pull: (B, T), 1 or 0.
    Tensor clipped(Tensor logprobs, Tensor oldLogprobs, Tensor advantages) {
        return clipped(ratio(logprobs, oldLogprobs).detach(), advantages, 1 - clipRange, 1 + clipRange);
    }

    /// 1 where the ratio has left the bounds on the side that the advantage drives it to, else 0.
    static Tensor clipped(Tensor ratio, Tensor advantages, double low, double high) {
        DType dtype = ratio.dtype();
        Tensor zero = Tensor.full(dtype, 0);
        Tensor above = ratio.gt(Tensor.full(dtype, high)).to(dtype).mul(advantages.gt(zero).to(dtype));
        Tensor below = ratio.lt(Tensor.full(dtype, low)).to(dtype).mul(advantages.lt(zero).to(dtype));
        return above.add(below);
    }

    /// x where it lies between the bounds, else the nearer bound.
    static Tensor clip(Tensor x, double low, double high) {
        return x.maximum(Tensor.full(x.dtype(), low)).minimum(Tensor.full(x.dtype(), high));
    }

    static Tensor maskedMean(Tensor x, Tensor mask) {
        return x.mul(mask).sum().div(mask.sum().maximum(Tensor.full(mask.dtype(), 1)));
    }
}
