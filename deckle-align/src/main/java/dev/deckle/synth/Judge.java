package dev.deckle.synth;

import dev.deckle.reward.RewardPanel;
import java.io.IOException;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Says how good texts are.
public sealed interface Judge {
    /// By rewards.
    ///
    /// @param name what records call it
    record Rewarding(RewardPanel panel, String name) implements Judge {}

    /// By asking a model for a mark from 0 to 10.
    ///
    /// @param author draws greedily, or marks are noisy
    /// @param criterion what it shall judge, such as "how funny it is"
    record Asking(Author author, String criterion) implements Judge {
        @Override
        public String name() {
            return author.name();
        }
    }

    String name();

    /// The same, with its texts recorded.
    default Judge recorded(UnaryOperator<Author> recorded) {
        return this instanceof Asking a ? new Asking(recorded.apply(a.author), a.criterion) : this;
    }

    /// A score a text, of which higher is better; NaN for none.
    ///
    /// @param ids a text as tokens, for rewards that count them
    default double[] scores(SynthRow row, List<String> texts, Function<String, int[]> ids) throws IOException {
        return switch (this) {
            case Rewarding r -> Keep.judge(r.panel, row, texts, ids);
            case Asking a -> marks(a, row, texts);
        };
    }

    private static double[] marks(Asking a, SynthRow row, List<String> texts) throws IOException {
        double[] marks = new double[texts.size()];
        for (int i = 0; i < marks.length; i++) {
            String question = """
                    Give a mark from 0 to 10 to the answer below: %s. 10 is best.

                    Question:
                    %s

                    Answer:
                    %s

                    End with a line "Mark: " and the number, such as Mark: 5""".formatted(a.criterion, row.prompt(),
                    texts.get(i));
            marks[i] = mark(a.author.write(new Author.Ask("", question, question + "\n\nMark:"), 1, 0).getFirst()
                    .text());
        }
        return marks;
    }

    /// The last number of what a judge said, thoughts left out; NaN if it is not from 0 to 10.
    static double mark(String said) {
        String text = said.substring(said.lastIndexOf(Reasoned.CLOSE) < 0 ? 0
                : said.lastIndexOf(Reasoned.CLOSE) + Reasoned.CLOSE.length());
        Matcher number = Pattern.compile("(?<![\\d.])-?\\d{1,9}+(?:\\.\\d{1,9}+)?").matcher(
                text.replaceAll("(?<=\\d)\\s*/\\s*10\\b", "")); // "7/10" is a 7
        double last = Double.NaN;
        while (number.find()) {
            last = Double.parseDouble(number.group());
        }
        return last >= 0 && last <= 10 ? last : Double.NaN;
    }
}
