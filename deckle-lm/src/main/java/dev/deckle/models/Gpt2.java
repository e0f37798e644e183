package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.memory.ModelMemory;
import dev.deckle.nn.Dropout;
import dev.deckle.nn.Embedding;
import dev.deckle.nn.Init;
import dev.deckle.nn.LayerNorm;
import dev.deckle.nn.Linear;
import dev.deckle.nn.Pass;
import dev.deckle.nn.ScaledDotProductAttention;
import dev.deckle.nn.Weights;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;

/// The decoder of GPT-2 (Radford et al. 2019): learned positions, LayerNorm before each half of a block, multi-head
/// attention from one matrix, GELU. Weight names and config keys are those of Hugging Face's `GPT2LMHeadModel`, whose
/// matrices are (in, out).
public final class Gpt2 implements LinearHead {
    /// The keys of `config.json` that decide about the computation.
    ///
    /// @param n_inner width of the feed-forward network
    record Config(
            int vocab_size, int n_positions, int n_embd, int n_layer, int n_head, int n_inner,
            UnaryOperator<Tensor> activation_function, double embd_pdrop, double attn_pdrop, double resid_pdrop,
            double layer_norm_epsilon, double initializer_range, boolean scale_attn_weights,
            boolean scale_attn_by_inverse_layer_idx, boolean tie_word_embeddings) {
        static Config read(ConfigReader c) {
            int width = c.integer("n_embd", 1, 1 << 20);
            int heads = c.integer("n_head", 1, width);
            if (width % heads != 0) {
                throw c.bad("n_embd", "a multiple of n_head " + heads);
            }
            if (c.flag("add_cross_attention", false)) {
                throw c.bad("add_cross_attention", "false: a decoder alone");
            }
            return new Config(c.integer("vocab_size", 1, Integer.MAX_VALUE),
                    c.integer("n_positions", 1, Integer.MAX_VALUE / 2, 1024), width,
                    c.integer("n_layer", 1, 10_000), heads, c.integer("n_inner", 1, 1 << 24, 4 * width),
                    HiddenAct.read(c, "activation_function", "gelu_new"), c.probability("embd_pdrop", 0.1),
                    c.probability("attn_pdrop", 0.1), c.probability("resid_pdrop", 0.1),
                    c.real("layer_norm_epsilon", 0, Optional.of(1e-5)),
                    c.real("initializer_range", 0, Optional.of(0.02)), c.flag("scale_attn_weights", true),
                    c.flag("scale_attn_by_inverse_layer_idx", false), c.flag("tie_word_embeddings", true));
        }

        double scale(int layer) {
            double scale = scale_attn_weights ? 1 / Math.sqrt((double) n_embd / n_head) : 1;
            return scale_attn_by_inverse_layer_idx ? scale / (layer + 1) : scale;
        }
    }

    private static final class Attention {
        private final int layer;
        private final int heads;
        private final Linear cAttn; // to query, key and value
        private final Linear cProj;
        private final ScaledDotProductAttention attention;

        Attention(Weights w, int layer, Config c) {
            this.layer = layer;
            heads = c.n_head;
            Init init = Init.normal(c.initializer_range);
            cAttn = Linear.transposed(w.scope("c_attn"), c.n_embd, 3 * c.n_embd, init);
            cProj = Linear.transposed(w.scope("c_proj"), c.n_embd, c.n_embd, init);
            attention =
                    new ScaledDotProductAttention(c.scale(layer), true, new Dropout(c.attn_pdrop)).roundedLike(cProj);
        }

        Tensor forward(Tensor x, Pass pass) {
            int width = x.dim(2);
            Tensor qkv = cAttn.forward(x); // (B, T, 3 width)
            Tensor query = split(qkv.slice(2, 0, width)); // (B, H, T, D)
            Tensor key = split(qkv.slice(2, width, 2 * width));
            Tensor value = split(qkv.slice(2, 2 * width, 3 * width));
            Tensor y = pass.attend(layer, query, key, value, attention);
            return cProj.forward(y.transpose(1, 2).reshape(x.shape())); // (B, H, T, D) -> (B, T, width)
        }

        private Tensor split(Tensor x) {
            return x.reshape(x.dim(0), x.dim(1), heads, x.dim(2) / heads).transpose(1, 2);
        }
    }

    /// x + attention(norm(x)), then x + mlp(norm(x)).
    private static final class Layer implements Block {
        private final LayerNorm ln1;
        private final Attention attn;
        private final LayerNorm ln2;
        private final Linear cFc;
        private final Linear cProj;
        private final UnaryOperator<Tensor> activation;
        private final Dropout dropout;

        Layer(Weights w, int layer, Config c) {
            Init init = Init.normal(c.initializer_range);
            ln1 = new LayerNorm(w.scope("ln_1"), c.n_embd, c.layer_norm_epsilon);
            attn = new Attention(w.scope("attn"), layer, c);
            ln2 = new LayerNorm(w.scope("ln_2"), c.n_embd, c.layer_norm_epsilon);
            cFc = Linear.transposed(w.scope("mlp").scope("c_fc"), c.n_embd, c.n_inner, init);
            cProj = Linear.transposed(w.scope("mlp").scope("c_proj"), c.n_inner, c.n_embd, init);
            activation = c.activation_function;
            dropout = new Dropout(c.resid_pdrop);
        }

        @Override
        public Tensor forward(Tensor x, Pass pass) {
            Tensor h = Block.residual(x, dropout.forward(attn.forward(ln1.forward(x), pass), pass));
            Tensor y = cProj.forward(activation.apply(cFc.forward(ln2.forward(h))));
            return Block.residual(h, dropout.forward(y, pass));
        }
    }

    private final State state;
    private final Embedding wte;
    private final Embedding wpe;
    private final Dropout dropout;
    private final List<Layer> h = new ArrayList<>();
    private final LayerNorm lnF;
    private final Linear lmHead;

    Gpt2(Config c, JsonObject configJson, Weights weights, ModelMemory memory) {
        Init init = Init.normal(c.initializer_range);
        Weights transformer = weights.scope("transformer");
        wte = new Embedding(transformer.scope("wte"), c.vocab_size, c.n_embd, init);
        wpe = new Embedding(transformer.scope("wpe"), c.n_positions, c.n_embd, init);
        dropout = new Dropout(c.embd_pdrop);
        for (int i = 0; i < c.n_layer; i++) {
            h.add(new Layer(transformer.scope("h").scope(Integer.toString(i)), i, c));
        }
        lnF = new LayerNorm(transformer.scope("ln_f"), c.n_embd, c.layer_norm_epsilon);
        lmHead = c.tie_word_embeddings
                ? new Linear(weights.tied("lm_head.weight", wte.weight()))
                : new Linear(weights.scope("lm_head"), c.n_embd, c.vocab_size, false, init);
        weights.ignore(n -> n.endsWith(".attn.bias") || n.endsWith(".attn.masked_bias")); // old files keep their mask
        state = new State(configJson, weights.finish(), memory, c.vocab_size, c.n_positions, Integer.MAX_VALUE,
                Collections.nCopies(h.size(), 0));
    }

    @Override
    public State state() {
        return state;
    }

    @Override
    public Tensor hidden(Tensor ids, Pass pass) {
        int t = ids.dim(1);
        Tensor positions = pass.positions(t).orElseGet(() -> Tensor.of(LongStream.range(pass.position(),
                pass.position() + t).toArray(), 1, t));
        Tensor x = wte.forward(ids).add(wpe.forward(positions)); // (B, T, width)
        x = dropout.forward(x, pass);
        x = Block.forward(h, x, pass);
        pass.cache().ifPresent(c -> c.advance(t));
        return lnF.forward(x);
    }

    @Override
    public Linear lmHead() {
        return lmHead;
    }
}
