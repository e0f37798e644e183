package dev.deckle.app;

import com.google.gson.JsonObject;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Text to token ids and back.
@Command(
        name = "tokenize",
        description = "Text to token ids, or token ids to text.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle tokenize --model runs/run-1 --text \"public static\"",
            "  ./deckle tokenize --model runs/run-1 --ids 5,6,7"
        })
final class Tokenize extends Verb {
    @Option(names = "--model", paramLabel = "DIR", required = true, description = "a folder with tokenizer.json")
    private Path model;

    @ArgGroup(multiplicity = "1")
    private Input input;

    static final class Input {
        @Option(names = "--text", paramLabel = "TEXT", description = "a text")
        private String text;

        @Option(names = "--ids", paramLabel = "1,2,3", description = "token ids")
        private String ids;
    }

    @Override
    boolean computes() {
        return false;
    }

    @Override
    int run(Console console) throws IOException {
        Tokenizer tokenizer = Tokenizer.load(model);
        int[] ids = input.ids != null ? Ids.parse(this, "--ids", input.ids) : tokenizer.encode(input.text);
        String text = input.ids != null ? tokenizer.decode(ids) : input.text;
        if (console.json()) {
            JsonObject o = new JsonObject();
            o.add("ids", Ids.json(ids));
            o.addProperty("text", text);
            console.emit(o);
        } else {
            console.result(input.ids != null ? text : Ids.text(ids));
        }
        return Deckle.DONE;
    }
}
