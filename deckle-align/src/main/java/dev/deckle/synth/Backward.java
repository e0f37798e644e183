package dev.deckle.synth;

import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// Backwards: from a prompt and a good answer to thoughts that lead to it, by [SegmentSearch].
///
/// A model that holds conversations is shown prompt, answer and the thoughts so far when it is asked for a segment. One
/// without continues the prompt and the segments before it. What is compared is the perplexity of the answer behind the
/// prompt and the thoughts as the record has them, by a model in this process.
public final class Backward extends Plan {
    private static final String DRAW = """
            Question:
            %s

            A good answer to it:
            %s

            Write the thoughts of somebody who does not know this answer yet and arrives at it: what is asked, what \
            could be done, what is tried and given up, and why the answer is as it is. Write the thoughts and nothing \
            else, a paragraph for each step, and not the answer itself.""";
    private static final String CHANGE = """
            Question:
            %s

            A good answer to it:
            %s

            Thoughts that lead from the question to the answer, with one passage marked:
            %s<passage>%s</passage>%s

            Write another version of the marked passage, after which the answer follows more naturally. It must fit \
            what is before and behind it. Write the new passage and nothing else.""";

    private final Author author;
    private final LocalAuthor judge;
    private final int samples;
    private final int rounds;
    private final JsonObject settings;

    /// @param author proposes
    /// @param judge whose perplexity counts
    /// @param samples alternatives of a segment
    /// @param settings what else decides what is drawn and kept, for a resumed run to compare
    public Backward(Author author, LocalAuthor judge, int samples, int rounds, JsonObject settings) {
        this.author = author;
        this.judge = judge;
        this.samples = samples;
        this.rounds = rounds;
        this.settings = settings;
    }

    @Override
    Recipe recipe(UnaryOperator<Author> recorded, Records records) {
        Author a = recorded.apply(author);
        Perplexity perplexity = judge.perplexity();
        return (row, tally) -> make(a, perplexity, row, records, tally);
    }

    private List<JsonObject> make(Author a, Perplexity perplexity, SynthRow row, Records records, Tally tally)
            throws IOException {
        String prompt = row.prompt();
        String answer = row.text("answer", "completion").strip();
        long seed = row.seed(records.seed());
        Author.Text first = a.write(new Author.Ask("", DRAW.formatted(prompt, answer),
                prompt + Reasoned.OPEN + "\n"), 1, seed).getFirst();
        tally.add("samples");
        Optional<String> drawn = thoughts(first, a.converses(), tally);
        if (drawn.isEmpty()) {
            return List.of();
        }
        Author.Ask judged = new Author.Ask("", prompt, prompt);
        SegmentSearch.Found found = SegmentSearch.improve(drawn.get(), rounds,
                (segments, i, round) -> {
                    // so many draws apart that no two asks of a row share a seed
                    long own = seed + (1L + (long) round * segments.size() + i) * samples;
                    return proposals(a, prompt, answer, segments, i, own, tally);
                },
                thoughts -> perplexity.of(judged, Reasoned.before(thoughts.strip()), answer));
        JsonObject o = records.example(row, prompt, new Reasoned(found.thoughts().strip(), answer).text(), 0);
        Records.noted(o, "perplexity_drawn", new JsonPrimitive(found.before()));
        Records.noted(o, "perplexity", new JsonPrimitive(found.after()));
        Records.noted(o, "rounds", new JsonPrimitive(found.rounds()));
        Records.noted(o, "segments_replaced", new JsonPrimitive(found.replaced()));
        return List.of(o);
    }

    /// A model that was told to write thoughts may think before it does; one that continues `<think>` wrote them there.
    private static Optional<String> thoughts(Author.Text t, boolean told, Tally tally) {
        boolean closed = t.text().contains(Reasoned.CLOSE);
        if (!t.finished() && (told || !closed)) {
            tally.add("cut off");
            return Optional.empty();
        }
        String text = bare(t.text(), told);
        if (text.isEmpty() && told) {
            text = bare(t.text(), false);
        }
        if (text.isEmpty() || Reasoned.hasTag(text)) {
            tally.add("malformed");
            return Optional.empty();
        }
        return Optional.of(text);
    }

    /// What is behind the closing tag, or what is before it.
    private static String bare(String text, boolean behind) {
        String t = text.strip();
        int close = behind ? t.lastIndexOf(Reasoned.CLOSE) : t.indexOf(Reasoned.CLOSE);
        if (behind && close >= 0) {
            return t.substring(close + Reasoned.CLOSE.length()).strip();
        }
        t = close >= 0 ? t.substring(0, close) : t;
        return (t.startsWith(Reasoned.OPEN) ? t.substring(Reasoned.OPEN.length()) : t).strip();
    }

    private List<String> proposals(Author a, String prompt, String answer, List<String> segments, int i, long seed,
            Tally tally) throws IOException {
        String before = String.join("", segments.subList(0, i));
        String after = String.join("", segments.subList(i + 1, segments.size()));
        Author.Ask ask = new Author.Ask("",
                CHANGE.formatted(prompt, answer, before, segments.get(i).stripTrailing(), after),
                prompt + Reasoned.OPEN + "\n" + before);
        List<String> alternatives = new ArrayList<>();
        for (Author.Text t : a.write(ask, samples, seed)) {
            tally.add("samples");
            String text = bare(t.text(), a.converses()).replaceAll("</?passage>", "").strip();
            if (!a.converses() && !text.isEmpty()) {
                text = SegmentSearch.segments(text).getFirst().strip(); // it went on with the next ones
            } else if (!t.finished()) {
                text = "";
            }
            if (text.isEmpty() || Reasoned.hasTag(text)) {
                tally.add("unusable alternatives");
            } else {
                alternatives.add(text);
            }
        }
        return alternatives;
    }

    @Override
    String mode() {
        return "backward";
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
