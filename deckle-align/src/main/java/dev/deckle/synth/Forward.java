package dev.deckle.synth;

import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/// Forwards: from a prompt to thoughts and an answer, of which those are kept that a reward or a majority finds good.
///
/// A model that holds conversations is told to think first, which the records do not repeat: who learns from them shall
/// think without being told. A model without conversations continues the prompt and an open `<think>`.
public final class Forward extends Plan {
    /// What a model that holds conversations is told.
    public static final String SYSTEM = "Think before you answer. Write your thoughts between <think> and </think>, "
            + "and then the answer and nothing else.";

    private final Author author;
    private final int samples;
    private final Keep keep;
    private final String system;
    private final JsonObject settings;

    /// @param settings what else decides what is drawn and kept, for a resumed run to compare
    public Forward(Author author, int samples, Keep keep, String system, JsonObject settings) {
        this.author = author;
        this.samples = samples;
        this.keep = keep;
        this.system = system;
        this.settings = settings;
    }

    @Override
    Recipe recipe(UnaryOperator<Author> recorded, Records records) {
        Author a = recorded.apply(author);
        return (row, tally) -> make(a, row, records, tally);
    }

    private List<JsonObject> make(Author a, SynthRow row, Records records, Tally tally) throws IOException {
        String prompt = row.prompt();
        Author.Ask ask = new Author.Ask(system, prompt, prompt + Reasoned.OPEN + "\n");
        List<Keep.Candidate> candidates = drawn(a, ask, samples, row.seed(records.seed()), tally);
        List<JsonObject> made = new ArrayList<>();
        for (Keep.Kept kept : keep.of(row, candidates, samples, a::ids, tally)) {
            Keep.Candidate c = kept.candidate();
            JsonObject o = records.example(row, prompt, c.reasoned().text(), c.sample());
            kept.reward().ifPresent(reward -> Records.noted(o, "reward", new JsonPrimitive(reward)));
            made.add(o);
        }
        return made;
    }

    /// The well-formed ones among so many texts.
    static List<Keep.Candidate> drawn(Author a, Author.Ask ask, int count, long seed, Tally tally) throws IOException {
        List<Author.Text> texts = a.write(ask, count, seed);
        List<Keep.Candidate> candidates = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
            tally.add("samples");
            int sample = i;
            if (!texts.get(i).finished()) {
                tally.add("cut off");
            } else {
                Reasoned.parse(texts.get(i).text()).ifPresentOrElse(
                        r -> candidates.add(new Keep.Candidate(sample, r)), () -> tally.add("malformed"));
            }
        }
        return candidates;
    }

    @Override
    String mode() {
        return "forward";
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
