package dev.deckle.explain;

import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.stream.DoubleStream;

/// Numbers of one step, copied out of the computation: row-major values under a shape. They may be infinite (a mask) or
/// not a number (a mistake). A single number has the empty shape.
///
/// @param axes what each dimension stands for, such as `head`; empty where that is not said
public record Values(List<Integer> shape, List<Double> values, List<String> axes) {
    public Values {
        shape = List.copyOf(shape);
        values = List.copyOf(values);
        axes = List.copyOf(axes);
        if (!axes.isEmpty() && axes.size() != shape.size()) {
            throw new IllegalArgumentException("shape " + shape + " has not the dimensions " + axes);
        }
        long expected = shape.stream().mapToLong(n -> n).reduce(1, Math::multiplyExact);
        if (expected != values.size()) {
            throw new IllegalArgumentException(values.size() + " values do not fill shape " + shape);
        }
    }

    /// Numbers whose dimensions are not named.
    public Values(List<Integer> shape, List<Double> values) {
        this(shape, values, List.of());
    }

    /// The same with names of the dimensions.
    public Values named(List<String> axes) {
        return new Values(shape, values, axes);
    }

    /// F32 numbers as the shortest decimals that mean them: 0.1, not 0.10000000149.
    public static Values of(Tensor t) {
        DoubleStream numbers = Arrays.stream(t.toDoubles());
        boolean wide = t.dtype() == DType.F64 || !t.dtype().floating();
        return new Values(Arrays.stream(t.shape().toArray()).boxed().toList(),
                numbers.mapToObj(v -> wide ? v : Double.parseDouble(Float.toString((float) v))).toList());
    }

    public static Values of(double value) {
        return new Values(List.of(), List.of(value));
    }

    /// Without a shape: a vector.
    public static Values of(double[] values, int... shape) {
        List<Integer> s = shape.length == 0 ? List.of(values.length) : Arrays.stream(shape).boxed().toList();
        return new Values(s, Arrays.stream(values).boxed().toList());
    }

    public int rank() {
        return shape.size();
    }
}
