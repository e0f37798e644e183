package dev.deckle.synth;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/// Jokes by their structure ([Joke]): what a model wrote becomes a record whose thoughts are the structure and whose
/// answer is the joke as it is told, if it keeps to the structure.
///
/// Without an author the rows hold what was written, in `completion`.
public final class Structure extends Plan {
    private final Optional<Author> author;
    private final int samples;
    private final JsonObject settings;

    /// @param settings what else decides what is drawn and kept, for a resumed run to compare
    public Structure(Optional<Author> author, int samples, JsonObject settings) {
        this.author = author;
        this.samples = samples;
        this.settings = settings;
    }

    /// What a model is told to make a joke about a topic.
    public static String template(String topic) {
        return Joke.template(topic);
    }

    @Override
    Recipe recipe(UnaryOperator<Author> recorded, Records records) {
        Optional<Author> a = author.map(recorded);
        return (row, tally) -> make(a, row, records, tally);
    }

    private List<JsonObject> make(Optional<Author> a, SynthRow row, Records records, Tally tally) throws IOException {
        String topic = row.prompt();
        List<Author.Text> texts;
        if (a.isPresent()) {
            String told = Joke.template(topic);
            texts = a.get().write(new Author.Ask("", told, told + "\n"), samples, row.seed(records.seed()));
        } else {
            texts = List.of(new Author.Text(row.text("completion"), true));
        }
        List<JsonObject> made = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
            tally.add("samples");
            if (!texts.get(i).finished()) {
                tally.add("cut off");
                continue;
            }
            try {
                Joke joke = Joke.parse(texts.get(i).text());
                JsonObject o = records.example(row, topic, new Reasoned(joke.thoughts(), joke.told()).text(), i);
                o.add("joke", joke.json());
                made.add(o);
            } catch (IllegalArgumentException e) {
                tally.add("rejected: " + e.getMessage());
            }
        }
        return made;
    }

    @Override
    String mode() {
        return "structure";
    }

    @Override
    String author() {
        return author.map(Author::name).orElse("");
    }

    @Override
    boolean converses() {
        return author.map(Author::converses).orElse(false);
    }

    @Override
    JsonObject settings() {
        return settings;
    }
}
