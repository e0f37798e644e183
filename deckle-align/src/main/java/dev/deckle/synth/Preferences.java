package dev.deckle.synth;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/// Pairs of a better and a worse answer, out of several that a [Judge] has scored. Equal scores make no pair.
///
/// Without an author the rows hold the answers, as a list of texts in `completions`.
public final class Preferences extends Plan {
    /// Which pairs a row gives.
    public enum Pairs {
        /// The best and the worst.
        EXTREMES,
        /// Any two of different score.
        ALL
    }

    private record Scored(int sample, String text, double score) {}

    private final Optional<Author> author;
    private final int samples;
    private final Judge judge;
    private final Pairs pairs;
    private final JsonObject settings;

    /// @param settings what else decides what is drawn and kept, for a resumed run to compare
    public Preferences(Optional<Author> author, int samples, Judge judge, Pairs pairs, JsonObject settings) {
        this.author = author;
        this.samples = samples;
        this.judge = judge;
        this.pairs = pairs;
        this.settings = settings;
    }

    @Override
    Recipe recipe(UnaryOperator<Author> recorded, Records records) {
        Optional<Author> a = author.map(recorded);
        Judge j = judge.recorded(recorded);
        return (row, tally) -> make(a, j, row, records, tally);
    }

    private List<JsonObject> make(Optional<Author> a, Judge j, SynthRow row, Records records, Tally tally)
            throws IOException {
        List<Scored> ranked = ranked(j, row, texts(a, row, records.seed()), tally);
        List<JsonObject> made = new ArrayList<>();
        int last = ranked.size() - 1;
        for (int better = 0; better <= last; better++) {
            for (int worse = better + 1; worse <= last; worse++) {
                boolean wanted = pairs == Pairs.ALL || better == 0 && worse == last;
                if (wanted && ranked.get(better).score > ranked.get(worse).score) {
                    made.add(pair(row, records, j, ranked.get(better), ranked.get(worse)));
                } else if (wanted) {
                    tally.add("ties");
                }
            }
        }
        return made;
    }

    private static JsonObject pair(SynthRow row, Records records, Judge j, Scored better, Scored worse)
            throws IOException {
        JsonObject o = records.pair(row, row.prompt(), better.text, worse.text, better.sample);
        Records.noted(o, "rejected_sample", new JsonPrimitive(worse.sample));
        Records.noted(o, "judge", new JsonPrimitive(j.name()));
        Records.noted(o, "score_chosen", new JsonPrimitive(better.score));
        return Records.noted(o, "score_rejected", new JsonPrimitive(worse.score));
    }

    private List<Author.Text> texts(Optional<Author> a, SynthRow row, long seed) throws IOException {
        if (a.isPresent()) {
            return a.get().write(new Author.Ask("", row.prompt(), row.prompt()), samples, row.seed(seed));
        }
        List<Author.Text> texts = new ArrayList<>();
        if (row.json().get("completions") instanceof JsonArray all) {
            for (JsonElement e : all) {
                if (!(e instanceof JsonPrimitive p) || !p.isString()) {
                    throw new IOException(row.where() + ": completions holds something that is no text");
                }
                texts.add(new Author.Text(p.getAsString(), true));
            }
            return texts;
        }
        throw new IOException(row.where() + ": completions is missing, expected a list of texts, or a model that "
                + "writes them");
    }

    /// The best first; of equal scores the earlier.
    private List<Scored> ranked(Judge j, SynthRow row, List<Author.Text> texts, Tally tally) throws IOException {
        List<String> judged = new ArrayList<>();
        List<Integer> samples = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        for (int i = 0; i < texts.size(); i++) {
            tally.add("samples");
            String text = texts.get(i).text().strip();
            if (!texts.get(i).finished()) {
                tally.add("cut off");
            } else if (text.isEmpty()) {
                tally.add("malformed");
            } else if (!seen.add(Same.text(text))) {
                tally.add("equal samples");
            } else {
                judged.add(text);
                samples.add(i);
            }
        }
        double[] scores = j.scores(row, judged, text -> author.map(a -> a.ids(text)).orElse(new int[0]));
        List<Scored> ranked = new ArrayList<>();
        for (int i = 0; i < scores.length; i++) {
            if (Double.isNaN(scores[i])) {
                tally.add("without a score");
            } else {
                ranked.add(new Scored(samples.get(i), judged.get(i), scores[i]));
            }
        }
        ranked.sort(Comparator.comparingDouble(Scored::score).reversed());
        return ranked;
    }

    @Override
    String mode() {
        return "preferences";
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
