package dev.deckle.app;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import dev.deckle.chat.Conversation;
import dev.deckle.generate.GenerationConfig;
import dev.deckle.io.AtomicFile;
import dev.deckle.lm.Answer;
import dev.deckle.lm.Model;
import dev.deckle.lm.Settings;
import dev.deckle.nn.KvCache;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/// A conversation at the keyboard.
@Command(
        name = "chat",
        description = {
            "Talk with a model that has a chat template. Ctrl-C stops the answer, Ctrl-D ends the talk.",
            "Lines that begin with / are for the program: /reset begins anew, /save FILE writes the conversation,"
                    + " /exit ends it."
        },
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle chat --model Llama-3.2-1B-Instruct",
            "  ./deckle chat --model Qwen2.5-0.5B-Instruct --system \"You are brief.\" --temperature 0",
            "  ./deckle chat --model Qwen2.5-0.5B-Instruct --messages talk.json    go on with what /save wrote",
            "  echo \"What is a deckle?\" | ./deckle chat --model Qwen2.5-0.5B-Instruct --json"
        })
final class Chat extends Verb {
    private static final String COMMANDS = "/reset begins anew, /save FILE writes the conversation, /exit ends";
    private static final int DEFAULT_NEW_TOKENS = 1024;

    @Option(names = "--model", paramLabel = "DIR", required = true, description = "a model or adapter folder")
    private Path model;

    @Option(names = "--system", paramLabel = "TEXT", description = "what the model is told before the talk")
    private String system = "";

    @Option(names = "--messages", paramLabel = "FILE",
            description = "begin with this conversation: {\"messages\": [{\"role\", \"content\"}, ...]}")
    private Path messages;

    @Option(names = "--max-new-tokens", paramLabel = "N", description = "at most so many an answer; default: 1024")
    private Integer maxNewTokens;

    @Mixin
    private Sampling sampling;

    @Option(names = "--seed", paramLabel = "N",
            description = "the same seed, the same talk; default: another each time")
    private Long seed;

    @Option(names = "--stop", paramLabel = "TEXT", arity = "1..*", description = "end an answer before this text")
    private List<String> stop;

    private final Set<Path> saved = new HashSet<>(); // these may be written again

    @Override
    int run(Console console) throws IOException {
        if (maxNewTokens != null && maxNewTokens < 1) {
            throw wrongUsage("--max-new-tokens must be at least 1, not " + maxNewTokens);
        }
        if (stop != null && stop.contains("")) {
            throw wrongUsage("--stop must not be empty");
        }
        if (messages != null && !system.isEmpty()) {
            throw wrongUsage("--system does not go with --messages: a conversation has its own");
        }
        sampling.over(Sampling.DEFAULT, this); // wrong usage needs no model
        Optional<Conversation> before = messages == null ? Optional.empty() : Optional.of(Conversation.read(messages));
        try (Model m = Model.load(model);
                var chat = m.chat(settings(m.generationConfig()));
                Lines lines = Lines.open("> ")) {
            chat.system(system);
            before.ifPresent(c -> chat.restore(c.messages()));
            if (messages != null) {
                saved.add(messages);
            }
            if (lines.interactive()) {
                console.log(COMMANDS);
            }
            for (Optional<String> line = lines.next(); line.isPresent(); line = lines.next()) {
                String said = line.get().strip();
                if (said.equals("/exit") || said.equals("/quit")) {
                    break;
                }
                try {
                    if (said.startsWith("/")) {
                        obey(said, chat, console);
                    } else if (!said.isEmpty()) {
                        answer(said, chat, lines, console);
                    }
                } catch (IllegalArgumentException | IOException | UncheckedIOException e) {
                    if (!lines.interactive()) {
                        throw e;
                    }
                    console.log("deckle: " + e.getMessage()); // somebody is there to try again
                }
            }
        }
        return Deckle.DONE;
    }

    private Settings settings(GenerationConfig config) {
        boolean whole = maxNewTokens == null && config.max_new_tokens().isEmpty() && config.max_length().isPresent();
        return new Settings(sampling.over(config.sampler(Sampling.DEFAULT), this),
                Sampling.or(maxNewTokens,
                        config.max_new_tokens().orElse(whole ? Integer.MAX_VALUE : DEFAULT_NEW_TOKENS)),
                whole ? config.max_length().get() : Integer.MAX_VALUE, config.min_new_tokens(),
                Sampling.or(stop, config.stop_strings()), Sampling.or(seed, System.nanoTime()), KvCache.Kind.PAGED);
    }

    private void obey(String said, dev.deckle.lm.Chat chat, Console console) throws IOException {
        String[] words = said.split("\\s+", 2);
        if (words[0].equals("/reset") && words.length == 1) {
            chat.system(system);
            console.log("a new conversation");
        } else if (words[0].equals("/save") && words.length == 2) {
            Path file = Path.of(words[1]);
            if (Files.exists(file) && !saved.contains(file)) {
                throw new IOException(file + ": is there already: give another name");
            }
            JsonObject all = new JsonObject();
            all.add("messages", chat.messages());
            AtomicFile.write(file, new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create().toJson(all)
                    + "\n");
            saved.add(file);
            console.log("written to " + file);
        } else if (said.equals("/help")) {
            console.log(COMMANDS);
        } else if (said.equals("/save")) {
            throw new IllegalArgumentException("/save needs the name of a file");
        } else {
            throw new IllegalArgumentException(words[0] + " is not known so: " + COMMANDS);
        }
    }

    private static void answer(String said, dev.deckle.lm.Chat chat, Lines lines, Console console) {
        var stopped = new AtomicBoolean();
        lines.interruptible(() -> answer(chat, said, stopped, console), () -> stopped.set(true));
    }

    private static void answer(dev.deckle.lm.Chat chat, String said, AtomicBoolean stopped, Console console) {
        long start = System.nanoTime();
        try (Answer answer = chat.say(said)) {
            for (var pieces = answer.iterator(); !stopped.get() && pieces.hasNext();) {
                String piece = pieces.next();
                if (!console.json()) {
                    console.text(piece);
                }
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            if (console.json()) {
                JsonObject o = new JsonObject();
                o.addProperty("role", "assistant");
                o.addProperty("content", answer.soFar());
                o.add("ids", Ids.json(answer.ids()));
                o.addProperty("tok_per_s", Math.round(10 * answer.ids().length / seconds) / 10.0);
                console.emit(o);
            } else {
                console.result("");
                console.detail(String.format("%.1f tokens a second", answer.ids().length / seconds));
            }
        }
    }
}
