package dev.deckle.explain.page;

import dev.deckle.explain.Values;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/// A tensor as tables of HTML: the numbers in cells that are coloured by them, one table for each of its matrices.
///
/// A cell says in its class on which side of zero it is, and in `--t` how far: from 0 to 1, the largest magnitude of
/// the tensor. What is not finite has no place on that scale: it is hatched, and said in words below.
final class HtmlTensor {
    private final String name;
    private final Values tensor;
    private final List<Matrix> matrices;
    private final double largest;
    private final int fraction;

    HtmlTensor(String name, Values tensor) {
        this.name = name;
        this.tensor = tensor;
        matrices = Matrix.of(tensor);
        largest = tensor.values().stream().filter(Double::isFinite).mapToDouble(Math::abs).max().orElse(0);
        fraction = TextTable.Width.of(tensor).fraction();
    }

    /// @param id unique on the page
    String html(String id) {
        String shape = "<span class=\"shape\">" + TextPage.shape(tensor.shape()) + "</span>";
        String title = "<span class=\"name\">" + HtmlText.escape(name) + "</span> " + shape;
        StringBuilder out = new StringBuilder();
        String said = said();
        String described = said.isEmpty() ? "" : " aria-describedby=\"" + id + "-said\"";
        if (matrices.size() == 1) {
            out.append("<div class=\"tensor\">\n").append(table(matrices.getFirst(), title, described));
        } else {
            out.append("<div class=\"tensor many\" role=\"group\" aria-labelledby=\"" + id + "\">\n");
            out.append("<h3 id=\"" + id + "\">" + title + "</h3>\n");
            out.append(matrices.isEmpty() ? "<p>No numbers: a size is 0.</p>\n" : choice());
            out.append("<div class=\"matrices\">\n");
            for (Matrix m : matrices) {
                String caption =
                        "<span class=\"away\">" + HtmlText.escape(name) + ", </span>" + HtmlText.escape(m.label());
                out.append("<div class=\"matrix\">\n").append(table(m, caption, described)).append("</div>\n");
            }
            out.append("</div>\n");
        }
        if (!said.isEmpty()) {
            out.append("<p class=\"said\" id=\"" + id + "-said\">" + said + "</p>\n");
        }
        return out.append("</div>\n").toString();
    }

    /// Single numbers of a step: a table of names and numbers.
    static String singles(List<String> names, List<Values> numbers) {
        StringBuilder out = new StringBuilder("<div class=\"tensor\"><div class=\"scroll\"><table class=\"singles\">\n"
                + "<caption class=\"away\">Single numbers</caption>\n<tbody>\n");
        int fraction = numbers.stream().mapToInt(n -> fraction(n.values().getFirst())).max().orElse(0);
        for (int i = 0; i < names.size(); i++) {
            double x = numbers.get(i).values().getFirst();
            String style = fraction > fraction(x) ? " style=\"--p:" + (fraction - fraction(x)) + "\"" : "";
            String shape = numbers.get(i).rank() == 0 ? ""
                    : " <span class=\"shape\">" + TextPage.shape(numbers.get(i).shape()) + "</span>";
            String shown = shown(x, Numbers.MANY_DECIMALS);
            out.append("<tr><th scope=\"row\"><span class=\"name\">" + HtmlText.escape(names.get(i)) + "</span>" + shape
                    + "</th><td" + style + " title=\""
                    + HtmlText.escape(names.get(i)) + " = " + Numbers.exact(x) + "\">" + shown + "</td></tr>\n");
        }
        return out.append("</tbody></table></div></div>\n").toString();
    }

    private static int fraction(double single) {
        return Numbers.fraction(Numbers.text(single, Numbers.MANY_DECIMALS));
    }

    /// Buttons for one of the matrices, or all side by side; useless and hidden without JavaScript.
    private String choice() {
        String what = tensor.axes().contains("head") ? "Head" : "Matrix";
        StringBuilder out = new StringBuilder("<div class=\"choice\" role=\"group\" aria-label=\"" + what
                + " to show\">\n<button type=\"button\" aria-pressed=\"true\">all</button>\n");
        matrices.forEach(m -> out.append(
                "<button type=\"button\" aria-pressed=\"false\">" + HtmlText.escape(m.label()) + "</button>\n"));
        return out.append("</div>\n").toString();
    }

    private String table(Matrix m, String caption, String described) {
        StringBuilder out = new StringBuilder("<div class=\"scroll\"><table" + described + ">\n<caption>" + caption
                + "</caption>\n<thead><tr>");
        if (!m.vector()) {
            out.append("<td class=\"corner\">" + corner() + "</td>");
        }
        for (int c = 0; c < m.columns(); c++) {
            out.append("<th scope=\"col\">" + c + "</th>");
        }
        out.append("</tr></thead>\n<tbody>\n");
        for (int r = 0; r < m.rows(); r++) {
            out.append("<tr>");
            if (!m.vector()) {
                out.append("<th scope=\"row\">" + r + "</th>");
            }
            for (int c = 0; c < m.columns(); c++) {
                out.append(cell(m.value(r, c), m.at(r, c)));
            }
            out.append("</tr>\n");
        }
        return out.append("</tbody></table></div>\n").toString();
    }

    /// What rows and columns are, where that is said.
    private String corner() {
        List<String> axes = tensor.axes();
        return axes.size() < 2 ? "" : axes.get(axes.size() - 2) + " ↓ " + axes.getLast() + " →";
    }

    private String cell(double x, List<Integer> at) {
        String text = Numbers.text(x, Numbers.DECIMALS);
        List<String> style = new ArrayList<>();
        if (Double.isFinite(x) && x != 0) {
            style.add(String.format(Locale.ROOT, "--t:%.3f", Math.abs(x) / largest));
        }
        boolean aligned = tensor.rank() > 1 && !Numbers.isWord(text);
        if (aligned && fraction > Numbers.fraction(text)) {
            style.add("--p:" + (fraction - Numbers.fraction(text))); // room to the right that puts the points in line
        }
        String kind = Double.isNaN(x) ? "nan" : Double.isInfinite(x) ? "infinite" : x < 0 ? "minus" : "plus";
        return "<td class=\"" + kind + "\"" + (style.isEmpty() ? "" : " style=\"" + String.join(";", style) + "\"")
                + " title=\"" + HtmlText.escape(name) + at + " = " + Numbers.exact(x) + "\">"
                + shown(x, Numbers.DECIMALS) + "</td>";
    }

    private static String shown(double x, int decimals) {
        return Double.isInfinite(x) ? x > 0 ? "+∞" : "−∞" : Numbers.text(x, decimals).replace('-', '−');
    }

    /// What colours and hatching show, in words.
    private String said() {
        List<String> words = new ArrayList<>();
        say(words, tensor.values().stream().filter(v -> v == Double.NEGATIVE_INFINITY).count(),
                "−∞ (hatched): masked, it takes no part");
        say(words, tensor.values().stream().filter(v -> v == Double.POSITIVE_INFINITY).count(), "+∞ (hatched)");
        say(words, tensor.values().stream().filter(v -> v.isNaN()).count(), "nan (framed): not a number");
        return words.stream().collect(Collectors.joining(". ", "", words.isEmpty() ? "" : "."));
    }

    private void say(List<String> words, long count, String what) {
        if (count > 0) {
            words.add(count + " of " + tensor.values().size() + (count == 1 ? " is " : " are ") + what);
        }
    }
}
