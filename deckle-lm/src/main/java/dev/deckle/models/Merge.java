package dev.deckle.models;

import com.google.gson.JsonObject;
import dev.deckle.nn.Lora;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.LinkedHashMap;
import java.util.Map;

/// An adapter put into the weights of its model: W + s B A.
///
/// @param weights the model's, by the names in its file
/// @param products by those names
record Merge(Map<String, Tensor> weights, Map<String, Product> products) {
    /// What is added to one weight.
    ///
    /// @param a (r, in)
    /// @param b (out, r)
    /// @param transposed whether the weight lies as (in, out)
    private record Product(Tensor a, Tensor b, double scale, boolean transposed) {
        Tensor addedTo(Tensor weight) {
            Tensor product = b.to(DType.F32).matmul(a.to(DType.F32)).mul(scale); // (out, in)
            return weight.to(DType.F32).add(transposed ? product.t() : product);
        }
    }

    /// @param config the model's
    static Merge of(Adapter.Content adapter, Map<String, Tensor> weights, JsonObject config) {
        Map<String, Tensor> all = new LinkedHashMap<>(weights);
        Map<String, Product> products = new LinkedHashMap<>();
        Lora lora = adapter.lora();
        adapter.weights().forEach((name, t) -> {
            if (!Lora.isAdapter(name)) {
                all.put(name, t); // a head
            } else if (name.contains(".lora_A.")) {
                String layer = Adapter.layer(name);
                String weight = layer + ".weight";
                boolean transposed = Models.liesTransposed(config) && !layer.equals("lm_head");
                products.put(weights.containsKey(weight) ? weight : weight.substring(Models.prefix(config).length()),
                        new Product(t, adapter.weights().get(layer + ".lora_B.weight"), lora.scale(), transposed));
            }
        });
        return new Merge(all, products);
    }

    /// What a weight becomes, in F32 where an adapter changes it.
    Tensor merged(String name, Tensor weight) {
        Product p = products.get(name);
        return p == null ? weight : p.addedTo(weight);
    }
}
