package dev.deckle.models;

import dev.deckle.tensor.Tensor;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.UnaryOperator;

/// The activation functions by their names in `config.json`.
final class HiddenAct {
    private static final Map<String, UnaryOperator<Tensor>> BY_NAME = new TreeMap<>(Map.of(
            "silu", Tensor::silu,
            "swish", Tensor::silu,
            "gelu", Tensor::gelu,
            "gelu_new", Tensor::geluTanh,
            "gelu_fast", Tensor::geluTanh,
            "gelu_pytorch_tanh", Tensor::geluTanh,
            "quick_gelu", x -> x.mul(x.mul(1.702).sigmoid()),
            "relu", Tensor::relu,
            "tanh", Tensor::tanh));

    private HiddenAct() {}

    static UnaryOperator<Tensor> read(ConfigReader c, String key, String otherwise) {
        UnaryOperator<Tensor> f = BY_NAME.get(c.text(key, otherwise));
        if (f == null) {
            throw c.bad(key, "one of " + String.join(", ", BY_NAME.keySet()));
        }
        return f;
    }

    /// That of a gated network: nothing for silu, which has a kernel of its own.
    static Optional<UnaryOperator<Tensor>> gate(ConfigReader c, String key) {
        UnaryOperator<Tensor> f = read(c, key, "silu");
        return c.text(key, "silu").equals("silu") || c.text(key, "silu").equals("swish") ? Optional.empty()
                : Optional.of(f);
    }
}
