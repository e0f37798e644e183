package dev.deckle.synth;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/// Rationalisation (STaR, arXiv 2203.14465): the answer is in the prompt as a hint, and the thoughts that lead to it
/// are kept, with the prompt as it was without the hint.
///
/// What does not reach the answer is rejected, and so are thoughts that speak of the hint, which nobody sees any more.
public final class Rationalise extends Plan {
    private static final String SYSTEM = Forward.SYSTEM + " You are told the answer as a hint. Think as if you had to "
            + "find it, and do not mention the hint.";
    private static final Pattern HINT = Pattern.compile("(?i)\\bhint");

    private final Author author;
    private final int samples;
    private final JsonObject settings;

    /// @param settings what else decides what is drawn and kept, for a resumed run to compare
    public Rationalise(Author author, int samples, JsonObject settings) {
        this.author = author;
        this.samples = samples;
        this.settings = settings;
    }

    @Override
    Recipe recipe(UnaryOperator<Author> recorded, Records records) {
        Author a = recorded.apply(author);
        return (row, tally) -> make(a, row, records, tally);
    }

    private List<JsonObject> make(Author a, SynthRow row, Records records, Tally tally) throws IOException {
        String prompt = row.prompt();
        String answer = row.text("answer", "completion");
        String hinted = prompt + "\n\n(Hint: the answer is " + answer.strip() + ")\n";
        Author.Ask ask = new Author.Ask(SYSTEM, hinted, hinted + Reasoned.OPEN + "\n");
        String wanted = Same.text(new Reasoned("", answer.strip()).result());
        List<JsonObject> made = new ArrayList<>();
        for (Keep.Candidate c : Forward.drawn(a, ask, samples, row.seed(records.seed()), tally)) {
            if (!Same.text(c.reasoned().result()).equals(wanted)) {
                tally.add("other answers");
            } else if (HINT.matcher(c.reasoned().thoughts()).find() && !HINT.matcher(prompt).find()) {
                tally.add("hint mentioned");
            } else {
                made.add(records.example(row, prompt, c.reasoned().text(), c.sample()));
            }
        }
        return made;
    }

    @Override
    String mode() {
        return "rationalise";
    }

    @Override
    String author() {
        return author.name();
    }

    @Override
    boolean converses() {
        return author.converses();
    }

    @Override
    JsonObject settings() {
        return settings;
    }
}
