package dev.deckle.synth;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.deckle.io.Shown;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/// What was drawn and which rows are done, beside the records: with it a run that was killed goes on where it was, and
/// texts that nobody kept need not be drawn again.
///
/// A resumed run makes its records anew from what is written here, draws what is missing, and leaves out the records
/// that are there: so it needs no state of its own, and ends with the file that an undisturbed run leaves.
final class Journal implements AutoCloseable {
    private final LineFile file;
    private final Map<String, List<Author.Text>> drawn = new HashMap<>();
    private final Set<String> done = new HashSet<>();

    private Journal(LineFile file) {
        this.file = file;
    }

    /// @param settings all that decides what is drawn and kept
    /// @throws IOException if the file there was begun with others
    static Journal open(Path path, JsonObject settings) throws IOException {
        LineFile file = LineFile.open(path);
        try {
            Journal journal = new Journal(file);
            if (file.lines().isEmpty()) {
                JsonObject first = new JsonObject();
                first.add("settings", settings);
                file.append(first);
            } else {
                journal.read(path, settings);
            }
            return journal;
        } catch (IOException | RuntimeException | Error e) {
            file.close();
            throw e;
        }
    }

    private void read(Path path, JsonObject settings) throws IOException {
        if (!(file.lines().getFirst().get("settings") instanceof JsonObject before)) {
            throw new IOException(path + ": is no journal of synth: its first line has no settings");
        }
        Set<String> keys = new HashSet<>(before.keySet());
        keys.addAll(settings.keySet());
        for (String key : keys.stream().sorted().toList()) {
            if (!settings.has(key) || !settings.get(key).equals(before.get(key))) {
                throw new IOException(path + ": was begun with " + key + " " + shown(before.get(key)) + ", not "
                        + shown(settings.get(key)) + ": give the same, or another --out");
            }
        }
        int number = 1;
        for (JsonObject line : file.lines().subList(1, file.lines().size())) {
            number++;
            try {
                if (line.has("done")) {
                    done.add(line.get("done").getAsString());
                    drawn.clear(); // of a row that is not looked at again
                } else {
                    drawn.put(line.get("drawn").getAsString(), texts(line.getAsJsonArray("texts")));
                }
            } catch (RuntimeException e) {
                throw new IOException(path + ", line " + number + ": expected done, or drawn and texts", e);
            }
        }
    }

    private static String shown(JsonElement value) {
        return value == null ? "left out" : Shown.brief(value.toString());
    }

    boolean hasDone() {
        return !done.isEmpty();
    }

    boolean isDone(String row) {
        return done.contains(row);
    }

    void done(String row) throws IOException {
        JsonObject line = new JsonObject();
        line.addProperty("done", row);
        file.append(line);
        done.add(row);
        synchronized (drawn) {
            drawn.clear();
        }
    }

    /// The same author, whose texts are written down as they come, and read here if they came before.
    Author recorded(Author author) {
        return new Recorded(author);
    }

    private final class Recorded implements Author {
        private final Author author;

        Recorded(Author author) {
            this.author = author;
        }

        @Override
        public List<Text> write(Ask ask, int count, long seed) throws IOException {
            if (!author.separate() || count == 1) {
                return once(ask, count, seed);
            }
            List<Future<List<Text>>> calls = new ArrayList<>();
            try (ExecutorService each = Executors.newVirtualThreadPerTaskExecutor()) {
                for (int i = 0; i < count; i++) {
                    long own = seed + i;
                    calls.add(each.submit(() -> once(ask, 1, own)));
                }
            } // waits for all: what comes is kept, even if one of them fails
            List<Text> texts = new ArrayList<>();
            for (Future<List<Text>> call : calls) {
                try {
                    texts.addAll(call.get());
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new IOException("interrupted", e);
                } catch (ExecutionException e) {
                    switch (e.getCause()) {
                        case IOException io -> throw io;
                        case RuntimeException r -> throw r;
                        default -> throw new IllegalStateException(e.getCause());
                    }
                }
            }
            return texts;
        }

        private List<Text> once(Ask ask, int count, long seed) throws IOException {
            String key = Same.key(author.name(), ask.system(), ask.user(), ask.start(), seed + " " + count);
            List<Text> before;
            synchronized (drawn) {
                before = drawn.get(key);
            }
            if (before != null) {
                return before;
            }
            List<Text> texts = author.write(ask, count, seed);
            JsonObject line = new JsonObject();
            line.addProperty("drawn", key);
            line.add("texts", json(texts));
            file.append(line);
            synchronized (drawn) {
                drawn.put(key, texts);
            }
            return texts;
        }

        @Override
        public String name() {
            return author.name();
        }

        @Override
        public boolean converses() {
            return author.converses();
        }

        @Override
        public boolean separate() {
            return author.separate();
        }

        @Override
        public int[] ids(String text) {
            return author.ids(text);
        }
    }

    private static JsonArray json(List<Author.Text> texts) {
        JsonArray all = new JsonArray();
        for (Author.Text t : texts) {
            JsonObject o = new JsonObject();
            o.addProperty("text", t.text());
            o.addProperty("finished", t.finished());
            all.add(o);
        }
        return all;
    }

    private static List<Author.Text> texts(JsonArray all) {
        List<Author.Text> texts = new ArrayList<>();
        for (JsonElement e : all) {
            JsonObject o = e.getAsJsonObject();
            texts.add(new Author.Text(o.get("text").getAsString(), o.get("finished").getAsBoolean()));
        }
        return texts;
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
