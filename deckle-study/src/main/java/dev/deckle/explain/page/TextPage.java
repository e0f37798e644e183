package dev.deckle.explain.page;

import dev.deckle.explain.Explanation;
import dev.deckle.explain.Step;
import dev.deckle.explain.Values;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// An explanation for a terminal: never wider than it, and in colour only if it can.
public final class TextPage {
    private static final String INDENT = "  ";
    /// More matrices of one tensor than this are too many to be shown.
    private static final int MATRICES = 8;
    /// Columns between matrices that stand beside each other.
    private static final int APART = 4;
    /// Narrower than this not every number fits beside its row.
    private static final int LEAST = 30;

    private final int width;
    private final boolean colour;

    /// @param width in columns; 30 at least
    /// @param colour whether ANSI escapes may be used
    public TextPage(int width, boolean colour) {
        this.width = Math.max(LEAST, width);
        this.colour = colour;
    }

    private enum Style {
        PLAIN(""), BOLD("1"), FORMULA("36"), FAINT("2"), WRONG("1;31");

        private final String code;

        Style(String code) {
            this.code = code;
        }
    }

    private String in(Style style, String text) {
        return colour && style != Style.PLAIN && !text.isBlank() ? "\033[" + style.code + "m" + text + "\033[0m" : text;
    }

    /// The whole page; each line ends with a line feed.
    public String render(Explanation explanation) {
        List<String> page = new ArrayList<>();
        add(page, "", Style.BOLD, explanation.title(), width);
        add(page, "", Style.PLAIN, explanation.idea(), width);
        int number = 0;
        for (Step step : explanation.steps()) {
            page.add("");
            page.addAll(step(++number, step));
        }
        return String.join("\n", page) + "\n";
    }

    private List<String> step(int number, Step step) {
        boolean mistake = step.kind() == Step.Kind.MISTAKE;
        String bar = mistake ? "┃ " : ""; // what people get wrong is set off without colour too
        int inner = width - bar.length();
        List<String> lines = new ArrayList<>();
        String kind = switch (step.kind()) {
            case INPUT, STEP -> "";
            case OUTPUT -> "Result: ";
            case GRADIENT -> "Gradient: ";
            case MISTAKE -> "MISTAKE: ";
        };
        add(lines, "", mistake ? Style.WRONG : Style.BOLD, number + "  " + kind + step.title(), inner);
        add(lines, INDENT, Style.FORMULA, step.formula(), inner);
        add(lines, INDENT, Style.PLAIN, step.note(), inner);
        singles(lines, step, inner);
        step.tensors().forEach((name, tensor) -> {
            if (tensor.values().size() != 1) {
                tensor(lines, name, tensor, inner);
            }
        });
        return lines.stream().map(line -> (in(Style.WRONG, bar) + line).stripTrailing()).toList();
    }

    /// Single numbers, one a line, in full.
    private void singles(List<String> lines, Step step, int width) {
        List<Map.Entry<String, Values>> singles = step.tensors().entrySet().stream()
                .filter(e -> e.getValue().values().size() == 1)
                .toList();
        List<String> names = singles.stream().map(e -> e.getKey() + shape(e.getValue())).toList();
        List<String> numbers = singles.stream()
                .map(e -> Numbers.text(e.getValue().values().getFirst(), Numbers.MANY_DECIMALS))
                .toList();
        int name = names.stream().mapToInt(Wrap::columns).max().orElse(0);
        int whole = numbers.stream().mapToInt(n -> n.length() - Numbers.fraction(n)).max().orElse(0);
        int fraction = numbers.stream().mapToInt(Numbers::fraction).max().orElse(0);
        boolean fits = INDENT.length() + name + 2 + whole + fraction <= width;
        for (int i = 0; i < names.size(); i++) {
            String number = numbers.get(i);
            if (fits) {
                int before = whole - (number.length() - Numbers.fraction(number));
                lines.add(INDENT + Wrap.padded(names.get(i), name + 2) + " ".repeat(before) + number);
            } else {
                add(lines, INDENT, Style.PLAIN, names.get(i), width);
                lines.add(INDENT + INDENT + number);
            }
        }
    }

    private void tensor(List<String> lines, String name, Values tensor, int width) {
        lines.add("");
        add(lines, INDENT, Style.PLAIN, name + shape(tensor) + (tensor.values().isEmpty() ? ": no numbers" : ""),
                width);
        List<Matrix> all = Matrix.of(tensor);
        List<Integer> shown = TextTable.shown(all.size(), MATRICES);
        TextTable.Width size = TextTable.Width.of(tensor);
        List<TextTable> tables = shown.stream().map(i -> new TextTable(all.get(i), size)).toList();
        int inner = width - INDENT.length();
        int widest = tables.stream().mapToInt(TextTable::width).max().orElse(0);
        widest = Math.max(widest, shown.stream().mapToInt(i -> Wrap.columns(all.get(i).label())).max().orElse(0));
        int beside = Math.max(1, (inner + APART) / (widest + APART)); // as many matrices in a row as fit
        for (int from = 0; from < tables.size(); from += beside) {
            List<List<String>> row = new ArrayList<>();
            for (int i = from; i < Math.min(from + beside, tables.size()); i++) {
                List<String> block = new ArrayList<>();
                add(block, "", Style.FAINT, all.get(shown.get(i)).label(), inner);
                block.addAll(tables.get(i).lines(inner, text -> in(Style.FAINT, text)));
                row.add(block);
            }
            beside(row, widest + APART).forEach(line -> lines.add(INDENT + line));
        }
        TextTable.left("matrices", shown.size(), all.size()).ifPresent(said -> add(lines, INDENT, Style.PLAIN, said,
                width));
    }

    /// Blocks of lines next to each other, each but the last padded to `columns`.
    private static List<String> beside(List<List<String>> blocks, int columns) {
        List<String> lines = new ArrayList<>();
        int height = blocks.stream().mapToInt(List::size).max().orElse(0);
        for (int i = 0; i < height; i++) {
            StringBuilder line = new StringBuilder();
            for (int b = 0; b < blocks.size(); b++) {
                String part = i < blocks.get(b).size() ? blocks.get(b).get(i) : "";
                int seen = Wrap.columns(part.replaceAll("\033\\[[0-9;]*m", ""));
                line.append(part).append(" ".repeat(b < blocks.size() - 1 ? Math.max(0, columns - seen) : 0));
            }
            lines.add(line.toString());
        }
        return lines;
    }

    private static String shape(Values tensor) {
        return tensor.rank() == 0 ? "" : " " + shape(tensor.shape());
    }

    /// As the field writes it: `(2, 3)`.
    static String shape(List<Integer> shape) {
        return shape.toString().replace('[', '(').replace(']', ')');
    }

    private void add(List<String> lines, String indent, Style style, String text, int width) {
        if (!text.isBlank()) {
            Wrap.lines(text, width - indent.length()).forEach(line -> lines.add(indent + in(style, line)));
        }
    }
}
