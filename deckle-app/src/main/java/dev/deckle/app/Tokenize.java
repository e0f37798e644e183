package dev.deckle.app;

import com.google.gson.JsonObject;
import dev.deckle.chat.ChatTemplate;
import dev.deckle.chat.Conversation;
import dev.deckle.models.Adapter;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// Text or a conversation to token ids, and ids to text.
@Command(
        name = "tokenize",
        description = "Text or a conversation to token ids, or token ids to text.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle tokenize --model runs/run-1 --text \"public static\"",
            "  ./deckle tokenize --model runs/run-1 --ids 5,6,7",
            "  ./deckle tokenize --model runs/run-1 --messages chat.json"
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

        @Option(
                names = "--messages",
                paramLabel = "FILE",
                description = "a conversation, put into the model's chat template: JSON with messages and, if wanted,"
                        + " tools, add_generation_prompt and other variables of the template")
        private Path messages;
    }

    @Override
    boolean computes() {
        return false;
    }

    @Override
    int run(Console console) throws IOException {
        Path words = Adapter.holder(model, "tokenizer.json");
        if (input.ids != null) {
            int[] ids = Ids.parse(this, "--ids", input.ids);
            return print(console, ids, Tokenizer.load(words).decode(ids));
        }
        String text = input.text != null
                ? input.text
                : ChatTemplate.load(words).render(Conversation.read(input.messages));
        return print(console, Tokenizer.load(words).encode(text), text);
    }

    private int print(Console console, int[] ids, String text) {
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
