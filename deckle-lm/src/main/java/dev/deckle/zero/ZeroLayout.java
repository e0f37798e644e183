package dev.deckle.zero;

import dev.deckle.nn.ParameterHome;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// A home that only hears of a model's parameters: how a [Partition] would lay them out, without the memory for them.
public final class ZeroLayout implements ParameterHome {
    private static final int MOST_TENSORS = 1 << 18; // a stranger's configuration can ask for any number
    private static final long MOST_PARAMETERS = 1L << 50; // so that bytes of state fit 64 bits
    private static final String HEAD = "lm_head.weight";

    private final DType dtype;
    private final UnitNames names = new UnitNames();
    private final List<Map<DType, Long>> units = new ArrayList<>();
    private long parameters;
    private int tensors;
    private boolean tied = true;

    /// @param dtype of matrices, F32 or BF16; vectors are F32
    public ZeroLayout(DType dtype) {
        this.dtype = dtype;
    }

    @Override
    public Tensor adopt(String name, Tensor values, boolean matrix) {
        if (names.begins(name)) {
            units.add(new LinkedHashMap<>());
        }
        units.getLast().merge(matrix ? dtype : DType.F32, values.numel(), (end, n) -> Region.after(end) + n);
        parameters += values.numel();
        tied &= !name.equals(HEAD);
        if (++tensors > MOST_TENSORS || parameters > MOST_PARAMETERS) {
            throw new IllegalArgumentException("a model of more than 10^15 parameters, or of more than " + MOST_TENSORS
                    + " tensors of them, is beyond planning");
        }
        return values;
    }

    public DType dtype() {
        return dtype;
    }

    /// How many numbers the model learns.
    public long parameters() {
        return parameters;
    }

    /// Whether the head reads the embedding's weights, because it has none of its own.
    public boolean tied() {
        return tied;
    }

    /// The units in the order of use: the elements of each one's regions, gaps included.
    public List<Map<DType, Long>> units() {
        return Collections.unmodifiableList(units);
    }

    /// The elements of the largest region, which are one tensor for a moment.
    public long largest() {
        return units.stream().flatMap(u -> u.values().stream()).mapToLong(n -> n).max().orElse(0);
    }
}
