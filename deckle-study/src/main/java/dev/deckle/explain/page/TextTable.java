package dev.deckle.explain.page;

import dev.deckle.explain.Values;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/// A matrix as lines of a terminal: numbers aligned at their points under the numbers of their columns, in blocks of as
/// many columns as fit. The middle of a large one is left out, which is said.
final class TextTable {
    /// More rows than this are too many to be shown, and so on.
    private static final int ROWS = 16;
    private static final int COLUMNS = 16;
    private static final int ELEMENTS = 32; // of a vector
    private static final int GAP = 2;

    private final Matrix matrix;
    private final List<Integer> rows;
    private final List<Integer> columns;
    private final int margin; // for the numbers of the rows
    private final int whole; // columns before the point
    private final int fraction; // and from the point on

    /// @param size of the whole tensor's numbers: all its matrices are set alike
    TextTable(Matrix matrix, Width size) {
        this.matrix = matrix;
        rows = shown(matrix.rows(), ROWS);
        columns = shown(matrix.columns(), matrix.vector() ? ELEMENTS : COLUMNS);
        margin = matrix.vector() ? 0 : Integer.toString(matrix.rows() - 1).length();
        whole = size.whole;
        fraction = size.fraction;
    }

    /// How much room the numbers of a tensor take.
    record Width(int whole, int fraction) {
        static Width of(Values tensor) {
            List<String> texts = tensor.values().stream().map(v -> Numbers.text(v, Numbers.DECIMALS)).toList();
            int fraction = texts.stream().mapToInt(Numbers::fraction).max().orElse(0);
            int whole = texts.stream()
                    .filter(t -> !Numbers.isWord(t))
                    .mapToInt(t -> t.length() - Numbers.fraction(t))
                    .max()
                    .orElse(0);
            int word = texts.stream().filter(Numbers::isWord).mapToInt(String::length).max().orElse(0);
            int index = Integer.toString(Math.max(0, tensor.rank() == 0 ? 0 : tensor.shape().getLast() - 1)).length();
            return new Width(Math.max(whole, Math.max(index, word - fraction)), fraction);
        }
    }

    /// Columns of a terminal that it takes in one piece.
    int width() {
        return margin + columns.size() * (GAP + whole + fraction);
    }

    /// @param head what sets the numbers of rows and columns off from the values, such as a colour
    List<String> lines(int width, UnaryOperator<String> head) {
        int cell = GAP + whole + fraction;
        int fit = Math.max(1, (width - margin) / cell);
        List<String> lines = new ArrayList<>();
        for (List<Integer> block : blocks(fit)) {
            if (block.size() < columns.size()) {
                lines.addAll(Wrap.lines("columns " + block.getFirst() + " to " + block.getLast(), width));
            }
            StringBuilder top = new StringBuilder(" ".repeat(margin));
            block.forEach(c -> top.append(" ".repeat(GAP)).append(pointed(Integer.toString(c))));
            lines.add(head.apply(top.toString().stripTrailing()));
            for (int i = 0; i < rows.size(); i++) {
                if (i > 0 && rows.get(i) > rows.get(i - 1) + 1) {
                    lines.add(" ".repeat(margin + GAP) + "...");
                }
                lines.add(row(rows.get(i), block, head));
            }
        }
        left("rows", rows.size(), matrix.rows()).ifPresent(said -> lines.addAll(Wrap.lines(said, width)));
        left("columns", columns.size(), matrix.columns()).ifPresent(said -> lines.addAll(Wrap.lines(said, width)));
        return lines;
    }

    /// The columns in runs of at most `fit`, none across the gap in the middle.
    private List<List<Integer>> blocks(int fit) {
        List<List<Integer>> blocks = new ArrayList<>();
        for (int from = 0, to = 1; to <= columns.size(); to++) {
            if (to == columns.size() || to - from == fit || columns.get(to) > columns.get(to - 1) + 1) {
                blocks.add(columns.subList(from, to));
                from = to;
            }
        }
        return blocks;
    }

    private String row(int row, List<Integer> block, UnaryOperator<String> head) {
        StringBuilder line = new StringBuilder();
        for (int c : block) {
            line.append(" ".repeat(GAP)).append(pointed(Numbers.text(matrix.value(row, c), Numbers.DECIMALS)));
        }
        String label = matrix.vector() ? "" : head.apply(("%" + margin + "d").formatted(row));
        return label + line.toString().stripTrailing();
    }

    /// A number with its point in place; a word to the right.
    private String pointed(String number) {
        if (Numbers.isWord(number)) {
            return " ".repeat(whole + fraction - number.length()) + number;
        }
        int after = Numbers.fraction(number);
        int before = number.length() - after;
        return " ".repeat(Math.max(0, whole - before)) + number + " ".repeat(Math.max(0, fraction - after));
    }

    /// All of them, or the first and the last.
    static List<Integer> shown(int n, int most) {
        int half = most / 2;
        return IntStream.range(0, n).filter(i -> n <= most || i < half || i >= n - half).boxed().toList();
    }

    static Optional<String> left(String what, int shown, int all) {
        return shown == all ? Optional.empty()
                : Optional.of((all - shown) + " of " + all + " " + what + " in the middle left out");
    }
}
