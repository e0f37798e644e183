package dev.deckle.app;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.deckle.generate.Scorer;
import dev.deckle.io.AtomicFile;
import dev.deckle.models.Adapter;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// How likely a model finds a text.
@Command(
        name = "score",
        description = "The log-probability of each token of a text, and the perplexity of all.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle score --model runs/run-1 --text \"public static void main\"",
            "  ./deckle score --model runs/run-1 --ids 5,6,7 --logits --json"
        })
final class Score extends Verb {
    @Option(names = "--model", paramLabel = "DIR", required = true, description = "a model or adapter folder")
    private Path model;

    @ArgGroup(multiplicity = "1")
    private Input input;

    static final class Input {
        @Option(names = "--ids", paramLabel = "1,2,3", description = "token ids; needs no tokenizer")
        private String ids;

        @Option(names = "--text", paramLabel = "TEXT", description = "a text")
        private String text;

        @Option(names = "--file", paramLabel = "FILE", description = "the text in a file")
        private Path file;
    }

    @Option(names = "--logits", description = "also the logits after the last token")
    private boolean logits;

    @Override
    int run(Console console) throws IOException {
        int[] ids = input.ids != null ? Ids.parse(this, "--ids", input.ids)
                : text(Tokenizer.load(Adapter.holder(model, "tokenizer.json")));
        try (CausalLm lm = Models.open(model)) {
            Scorer.Score s = Scorer.score(lm, ids);
            if (console.json()) {
                console.emit(json(ids, s));
            } else {
                for (int i = 0; i < s.logprobs().length; i++) {
                    console.result(String.format("%8d  %9.4f", ids[i + 1], s.logprobs()[i]));
                }
                console.result(String.format("perplexity %.4f", s.perplexity()));
            }
        } catch (IllegalStateException | IllegalArgumentException e) {
            throw of(model, e);
        }
        return Deckle.DONE;
    }

    private int[] text(Tokenizer tokenizer) throws IOException {
        if (input.text != null) {
            return tokenizer.wrap(tokenizer.encode(input.text));
        }
        try {
            return tokenizer.wrap(tokenizer.encode(Files.readAllBytes(input.file)));
        } catch (IOException e) {
            throw new IOException(input.file + ": cannot be read: " + AtomicFile.reason(e), e);
        }
    }

    private JsonObject json(int[] ids, Scorer.Score s) {
        JsonObject o = new JsonObject();
        o.add("ids", Ids.json(ids));
        JsonArray logprobs = new JsonArray();
        for (double d : s.logprobs()) {
            logprobs.add(d);
        }
        o.add("logprobs", logprobs);
        o.addProperty("ppl", s.perplexity());
        if (logits) {
            JsonArray last = new JsonArray();
            for (float f : s.lastLogits()) {
                last.add(f);
            }
            o.add("last_logits", last);
        }
        return o;
    }
}
