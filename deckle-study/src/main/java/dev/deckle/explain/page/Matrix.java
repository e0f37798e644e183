package dev.deckle.explain.page;

import dev.deckle.explain.Values;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// The last two dimensions of a tensor at one index of the others: what a page can show as a table. A vector is a
/// matrix of one row.
///
/// @param label which of the tensor's matrices it is, such as `head 0` or `[0, 1]`; empty if there is but one
/// @param index where it is in the leading dimensions
/// @param vector whether the tensor has no rows
/// @param values row by row
record Matrix(String label, List<Integer> index, boolean vector, int rows, int columns, List<Double> values) {

    /// The matrices of a tensor that is not a single number, in order; none if it is empty.
    static List<Matrix> of(Values tensor) {
        List<Integer> shape = tensor.shape();
        int lead = Math.max(0, tensor.rank() - 2);
        boolean vector = tensor.rank() < 2;
        int rows = vector ? 1 : shape.get(lead);
        int columns = tensor.rank() == 0 ? 1 : shape.getLast();
        List<Matrix> all = new ArrayList<>();
        int size = rows * columns;
        for (int at = 0; size > 0 && at < tensor.values().size(); at += size) {
            List<Integer> index = index(at / size, shape.subList(0, lead));
            String label = lead == 0 ? "" : label(index, tensor);
            all.add(new Matrix(label, index, vector, rows, columns, tensor.values().subList(at, at + size)));
        }
        return all;
    }

    /// The index of a cell in the whole tensor.
    List<Integer> at(int row, int column) {
        List<Integer> all = new ArrayList<>(index);
        if (!vector) {
            all.add(row);
        }
        all.add(column);
        return all;
    }

    double value(int row, int column) {
        return values.get(row * columns + column);
    }

    private static List<Integer> index(int n, List<Integer> shape) {
        Integer[] index = new Integer[shape.size()];
        int rest = n;
        for (int d = index.length - 1; d >= 0; d--) {
            index[d] = rest % shape.get(d);
            rest /= shape.get(d);
        }
        return List.of(index);
    }

    /// By the names of the dimensions, those of which there is but one left out; else by their numbers.
    private static String label(List<Integer> index, Values tensor) {
        if (tensor.shape().subList(0, index.size()).stream().allMatch(n -> n == 1)) {
            return "";
        }
        return tensor.axes().isEmpty() ? index.toString()
                : IntStream.range(0, index.size())
                        .filter(d -> tensor.shape().get(d) > 1)
                        .mapToObj(d -> tensor.axes().get(d) + " " + index.get(d))
                        .collect(Collectors.joining(", "));
    }
}
