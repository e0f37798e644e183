package dev.deckle.nn;

import dev.deckle.tensor.Tensor;
import java.util.List;
import java.util.Optional;

/// Self-attention with one head, in the four stages in which the notebook builds it. Queries, keys and values are all
/// projections of the same x.
///
/// - **Formula**: q = x W_q, k = x W_k, v = x W_v; y = softmax(q k^T / sqrt(hidden)) v; from stage 3 on y W_o
/// - **Shapes**: x (B, T, hidden), weights (B, T, T), y (B, T, hidden)
/// - **Cost**: 8 B T hidden^2 operations for the projections, 4 B T^2 hidden for attention
/// - **Source**: Vaswani et al. 2017, section 3.2
/// - **PyTorch**: `nn.MultiheadAttention(hidden, num_heads=1)`
/// - **Classic mistake**: dropout after the product with the values in place of on the weights, or a padding mask that
///   hides queries (rows) in place of keys (columns)
public final class SelfAttention {
    private SelfAttention() {}

    /// Stage 1: three projections, and the formula as it is written.
    public static final class Separate {
        private final Linear queryProj;
        private final Linear keyProj;
        private final Linear valueProj;
        private final double scale;

        public Separate(Weights w, int hiddenSize) {
            queryProj = new Linear(w.scope("query_proj"), hiddenSize, hiddenSize, true);
            keyProj = new Linear(w.scope("key_proj"), hiddenSize, hiddenSize, true);
            valueProj = new Linear(w.scope("value_proj"), hiddenSize, hiddenSize, true);
            scale = 1 / Math.sqrt(hiddenSize);
        }

        public Attended forward(Tensor x) {
            Tensor q = queryProj.forward(x); // (B, T, hidden)
            Tensor k = keyProj.forward(x);
            Tensor v = valueProj.forward(x);
            Tensor weights = q.matmul(k.t()).mul(scale).softmax(-1); // (B, T, T)
            return new Attended(weights.matmul(v), weights); // (B, T, hidden)
        }
    }

    /// Stage 2: one projection three times as wide, cut in three.
    public static final class Fused {
        private final Linear proj;
        private final double scale;

        public Fused(Weights w, int hiddenSize) {
            proj = new Linear(w.scope("proj"), hiddenSize, 3 * hiddenSize, true);
            scale = 1 / Math.sqrt(hiddenSize);
        }

        public Attended forward(Tensor x) {
            List<Tensor> qkv = proj.forward(x).chunk(3, -1); // (B, T, 3 hidden) -> 3 of (B, T, hidden)
            Tensor weights = qkv.get(0).matmul(qkv.get(1).t()).mul(scale).softmax(-1); // (B, T, T)
            return new Attended(weights.matmul(qkv.get(2)), weights);
        }
    }

    /// Stage 3: a mask for padding, dropout on the weights, and a projection of the result.
    public static final class Masked {
        private final Linear proj;
        private final Linear outputProj;
        private final double scale;
        private final Dropout dropout;

        public Masked(Weights w, int hiddenSize, Dropout dropout) {
            proj = new Linear(w.scope("proj"), hiddenSize, 3 * hiddenSize, true);
            outputProj = new Linear(w.scope("output_proj"), hiddenSize, hiddenSize, true);
            scale = 1 / Math.sqrt(hiddenSize);
            this.dropout = dropout;
        }

        /// @param mask 1 for visible: (B, T) over keys, or (B, T, T)
        public Attended forward(Tensor x, Optional<Tensor> mask, Pass pass) {
            List<Tensor> qkv = proj.forward(x).chunk(3, -1);
            Tensor scores = qkv.get(0).matmul(qkv.get(1).t()).mul(scale).unsqueeze(1); // (B, 1, T, T)
            Tensor weights = mask
                    .map(m -> AttentionMask.softmax(scores, AttentionMask.visible(m, x.dim(0), 1, x.dim(1), x.dim(1))))
                    .orElseGet(() -> scores.softmax(-1))
                    .squeeze(1); // (B, T, T)
            Tensor y = dropout.forward(weights, pass).matmul(qkv.get(2)); // (B, T, hidden)
            return new Attended(outputProj.forward(y), weights);
        }
    }

    /// Stage 4: all of it, through the fused kernel, which needs no memory for the weights.
    public static final class Complete {
        private final int hiddenSize;
        private final Linear proj;
        private final Linear outputProj;
        private final ScaledDotProductAttention attention;

        public Complete(Weights w, int hiddenSize, Dropout dropout) {
            this.hiddenSize = hiddenSize;
            proj = new Linear(w.scope("proj"), hiddenSize, 3 * hiddenSize, true);
            outputProj = new Linear(w.scope("output_proj"), hiddenSize, hiddenSize, true);
            attention = new ScaledDotProductAttention(1 / Math.sqrt(hiddenSize), false, dropout);
        }

        /// @param mask 1 for visible: (B, T) over keys, or (B, T, T)
        public Tensor forward(Tensor x, Optional<Tensor> mask, Pass pass) {
            List<Tensor> qkv = oneHead(x);
            Tensor y = attention.forward(qkv.get(0), qkv.get(1), qkv.get(2), mask, pass);
            return outputProj.forward(y.reshape(x.shape())); // (B, 1, T, hidden) -> (B, T, hidden)
        }

        /// The same with the weights (B, T, T), step by step.
        public Attended forwardWithWeights(Tensor x, Optional<Tensor> mask, Pass pass) {
            List<Tensor> qkv = oneHead(x);
            Attended a = attention.forwardWithWeights(qkv.get(0), qkv.get(1), qkv.get(2), mask, pass);
            return new Attended(outputProj.forward(a.output().reshape(x.shape())), a.weights().squeeze(1));
        }

        private List<Tensor> oneHead(Tensor x) {
            return proj.forward(x)
                    .chunk(3, -1)
                    .stream()
                    .map(part -> part.reshape(x.dim(0), x.dim(1), 1, hiddenSize).transpose(1, 2)) // (B, 1, T, hidden)
                    .toList();
        }
    }
}
