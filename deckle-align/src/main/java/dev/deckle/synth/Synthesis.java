package dev.deckle.synth;

import com.google.gson.JsonObject;
import dev.deckle.json.TextFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/// Makes records of the rows of a file, one row after the other, and appends them to another.
///
/// Beside the records, in `OUT.journal`, is what was drawn and which rows are done. A run that was killed, or ended
/// because an endpoint failed, goes on from there when it is started again with the same settings, and ends with the
/// same records. A record whose normalised text is there already is left out.
public final class Synthesis {
    /// @param messages whether records are conversations; by default they are if the author holds some
    /// @param seed the same seed, the same records, as far as an endpoint keeps to it
    public record Options(Path data, Path out, Optional<Boolean> messages, long seed) {}

    private Synthesis() {}

    /// Where the journal of these records is.
    public static Path journal(Path out) {
        return out.resolveSibling(out.getFileName() + ".journal");
    }

    /// @param each hears the counts after each row
    /// @throws IOException in one line; all that was made before is kept, and the same call goes on
    public static Tally run(Options o, Plan plan, Consumer<Tally> each) throws IOException {
        List<SynthRow> rows = SynthRow.read(o.data);
        if (Files.exists(o.out) && Files.isSameFile(o.data, o.out)) {
            throw new IOException(o.out + ": is the data itself: give another --out");
        }
        Path journalFile = journal(o.out);
        if (TextFile.exists(o.out) && !TextFile.exists(journalFile)) {
            throw new IOException(o.out + ": exists already, without the journal of a run to go on with: give another "
                    + "--out");
        }
        boolean messages = o.messages.orElse(plan.converses());
        JsonObject settings = new JsonObject();
        settings.addProperty("mode", plan.mode());
        settings.addProperty("model", plan.author());
        settings.addProperty("format", messages ? "messages" : "completion");
        settings.addProperty("seed", o.seed);
        plan.settings().asMap().forEach(settings::add);
        boolean gone = !TextFile.exists(o.out);
        try (Journal journal = Journal.open(journalFile, settings); LineFile out = LineFile.open(o.out)) {
            if (gone && journal.hasDone()) {
                Files.delete(o.out);
                throw new IOException(o.out + ": is gone, and " + journalFile + " says that its rows are done: delete "
                        + "that too, or bring the records back");
            }
            Plan.Recipe recipe =
                    plan.recipe(journal::recorded, new Records(messages, plan.mode(), plan.author(), o.seed));
            return new Run(journal, out, recipe).all(rows, each);
        }
    }

    private static final class Run {
        private final Journal journal;
        private final LineFile out;
        private final Plan.Recipe recipe;
        private final Set<String> made = new HashSet<>(); // by what they teach
        private final Set<String> earlier = new HashSet<>(); // whole lines, of the run that this one continues
        private final Tally tally = new Tally();

        Run(Journal journal, LineFile out, Plan.Recipe recipe) {
            this.journal = journal;
            this.out = out;
            this.recipe = recipe;
            for (JsonObject line : out.lines()) {
                made.add(Same.key(line));
                earlier.add(line.toString());
            }
        }

        Tally all(List<SynthRow> rows, Consumer<Tally> each) throws IOException {
            Set<String> seen = new HashSet<>();
            for (SynthRow row : rows) {
                tally.add("rows");
                String key = row.key();
                if (!seen.add(key)) {
                    tally.add("repeated rows");
                } else if (journal.isDone(key)) {
                    tally.add("rows done before");
                } else {
                    make(row);
                    journal.done(key);
                }
                each.accept(tally);
            }
            return tally;
        }

        private void make(SynthRow row) throws IOException {
            List<JsonObject> records;
            try {
                records = recipe.make(row, tally);
            } catch (UnusableRow e) {
                tally.unusable(row.where() + ": " + e.getMessage());
                return;
            }
            for (JsonObject record : records) {
                if (earlier.contains(record.toString())) {
                    tally.add("records there before");
                } else if (!made.add(Same.key(record))) {
                    tally.add("duplicates");
                } else {
                    out.append(record);
                    tally.add("records");
                }
            }
        }
    }
}
