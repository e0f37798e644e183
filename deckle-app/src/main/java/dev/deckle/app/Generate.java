package dev.deckle.app;

import com.google.gson.JsonObject;
import dev.deckle.generate.BeamSearch;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.models.CausalLm;
import dev.deckle.models.ConfigReader;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import dev.deckle.random.Generator;
import dev.deckle.tokenizer.StreamDecoder;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.function.Supplier;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/// Continues a prompt.
@Command(
        name = "generate",
        description = "Continue a prompt with a model.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle generate --model runs/run-1 --prompt \"public static \"",
            "  ./deckle generate --model runs/run-1 --prompt \"/**\" --temperature 0    always the likeliest token",
            "  ./deckle generate --model runs/run-1 --ids 5,6,7 --max-new-tokens 20 --json",
            "  ./deckle generate --model runs/run-1 --prompt \"int \" --num-beams 4 --kv-cache paged"
        })
final class Generate extends Verb {
    @Option(names = "--model", paramLabel = "DIR", required = true, description = "a model folder")
    private Path model;

    @ArgGroup(multiplicity = "1")
    private Prompt prompt;

    static final class Prompt {
        @Option(names = "--prompt", paramLabel = "TEXT", description = "what to continue")
        private String text;

        @Option(names = "--ids", paramLabel = "1,2,3", description = "the same as token ids; needs no tokenizer")
        private String ids;
    }

    @Option(names = "--max-new-tokens", paramLabel = "N", defaultValue = "128",
            description = "at most so many; default: 128")
    private int maxNewTokens;

    @Option(names = "--temperature", paramLabel = "X",
            description = "below 1 plainer, above 1 wilder, 0 always the likeliest; default: 0.8, with beams 0")
    private Double temperature;

    @Option(names = "--top-k", paramLabel = "K", defaultValue = "0",
            description = "draw from the K likeliest; 0: from all")
    private int topK;

    @Option(names = "--top-p", paramLabel = "P", defaultValue = "1",
            description = "draw from the fewest that are P likely together; default: 1")
    private double topP;

    @Option(names = "--min-p", paramLabel = "P", defaultValue = "0",
            description = "leave out what is less than P times as likely as the likeliest; default: 0")
    private double minP;

    @Option(names = "--repetition-penalty", paramLabel = "X", defaultValue = "1",
            description = "above 1: less of what was there before; default: 1")
    private double repetitionPenalty;

    @Option(names = "--seed", paramLabel = "N",
            description = "the same seed, the same text; default: another each time")
    private Long seed;

    @Option(names = "--stop", paramLabel = "TEXT", arity = "1..*", description = "end before this text")
    private List<String> stop = List.of();

    @Option(names = "--num-beams", paramLabel = "N", defaultValue = "1",
            description = "search for the likeliest text with N beams instead of drawing; printed at the end; "
                    + "default: 1, no search")
    private int numBeams;

    @Option(names = "--length-penalty", paramLabel = "X", defaultValue = "1",
            description = "a beam scores its log-probability / new tokens ^ X: above 0 longer; default: 1")
    private double lengthPenalty;

    @Option(names = "--early-stopping", paramLabel = "WHEN", defaultValue = "false",
            description = "end the search when N texts are finished: true at once, false when no beam looks better, "
                    + "never when none can become better; default: false",
            converter = EarlyStoppingWords.class)
    private BeamSearch.EarlyStopping earlyStopping;

    @Option(names = "--kv-cache", paramLabel = "KIND", defaultValue = "contiguous",
            description = "contiguous, or paged: in blocks that beams share; default: contiguous")
    private Cache cache;

    enum Cache {
        contiguous(KvCache.Kind.CONTIGUOUS),
        paged(KvCache.Kind.PAGED);

        private final KvCache.Kind kind;

        Cache(KvCache.Kind kind) {
            this.kind = kind;
        }
    }

    /// As the command spells it: true and false are no names in Java.
    static final class EarlyStoppingWords implements ITypeConverter<BeamSearch.EarlyStopping> {
        @Override
        public BeamSearch.EarlyStopping convert(String word) {
            return switch (word) {
                case "false" -> BeamSearch.EarlyStopping.FALSE;
                case "true" -> BeamSearch.EarlyStopping.TRUE;
                case "never" -> BeamSearch.EarlyStopping.NEVER;
                default -> throw new TypeConversionException("must be false, true or never, not " + word);
            };
        }
    }

    @Override
    int run(Console console) throws IOException {
        if (maxNewTokens < 0) {
            throw wrongUsage("--max-new-tokens must not be negative, not " + maxNewTokens);
        }
        BeamSearch search = named(() -> new BeamSearch(numBeams, lengthPenalty, earlyStopping));
        boolean drawing = numBeams == 1;
        List<String> idle = drawing ? List.of("--length-penalty", "--early-stopping")
                : List.of("--top-k", "--top-p", "--min-p");
        for (String flag : idle) {
            if (spec().commandLine().getParseResult().hasMatchedOption(flag)) {
                throw wrongUsage(flag + " does nothing with --num-beams " + numBeams);
            }
        }
        if (!drawing && temperature != null && temperature != 0) {
            throw wrongUsage(
                    "--num-beams " + numBeams + " searches and draws nothing: --temperature must be 0 with it, "
                            + "not " + temperature);
        }
        if (!drawing && !stop.isEmpty()) {
            throw wrongUsage("--stop does not go with --num-beams " + numBeams + ": a beam ends at an end token only");
        }
        Sampler sampler = named(() -> new Sampler(temperature != null ? temperature : drawing ? 0.8 : 0, topK, topP,
                minP, repetitionPenalty));
        Optional<Tokenizer> tokenizer = prompt.text != null || Files.exists(model.resolve("tokenizer.json"))
                ? Optional.of(Tokenizer.load(model))
                : Optional.empty();
        if (!stop.isEmpty() && tokenizer.isEmpty()) {
            throw wrongUsage("--stop needs a tokenizer, and " + model + " has no tokenizer.json");
        }
        try (CausalLm lm = Models.open(model)) {
            int[] ids =
                    prompt.ids != null ? Ids.parse(this, "--ids", prompt.ids) : begin(tokenizer.orElseThrow());
            inVocabulary("--top-k", topK, lm);
            inVocabulary("--num-beams", numBeams, lm);
            Output output = new Output(console, tokenizer, stop);
            output.begin(ids, Optional.ofNullable(prompt.text));
            long start = System.nanoTime();
            var generator = new TextGenerator(lm, sampler, endTokens(), cache.kind);
            int[] all;
            OptionalDouble score = OptionalDouble.empty();
            if (drawing) {
                Generator random = new Generator(seed == null ? System.nanoTime() : seed);
                all = generator.generate(ids, maxNewTokens, random, output);
            } else {
                BeamSearch.Hypothesis best = generator.beams(ids, maxNewTokens, search, _ -> {}).getFirst();
                all = best.ids();
                score = OptionalDouble.of(best.score());
                Arrays.stream(all, ids.length, all.length).forEach(output::test);
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            output.end(all, score, (all.length - ids.length) / seconds);
        }
        return Deckle.DONE;
    }

    private void inVocabulary(String option, int n, CausalLm lm) {
        if (n > lm.vocabSize()) {
            throw wrongUsage(option + " " + n + " is more than the " + lm.vocabSize() + " tokens of the model");
        }
    }

    /// The library names a setting as the command does, without the dashes.
    private <T> T named(Supplier<T> settings) {
        try {
            return settings.get();
        } catch (IllegalArgumentException e) {
            throw wrongUsage("--" + e.getMessage());
        }
    }

    /// The prompt with what the tokenizer puts before a text, and without what it puts after one: it is to go on.
    private int[] begin(Tokenizer tokenizer) {
        int[] ids = tokenizer.encode(prompt.text);
        int[] wrapped = tokenizer.wrap(ids);
        int after = 0;
        while (after < wrapped.length - ids.length && (ids.length == 0
                || wrapped[wrapped.length - 1 - after] != ids[ids.length - 1])) {
            after++;
        }
        return Arrays.copyOf(wrapped, wrapped.length - after);
    }

    private Set<Integer> endTokens() throws IOException {
        Set<Integer> ends = new HashSet<>(ConfigReader.open(model.resolve("config.json")).integers("eos_token_id"));
        Path generation = model.resolve("generation_config.json");
        if (Files.exists(generation)) {
            ends.addAll(ConfigReader.open(generation).integers("eos_token_id"));
        }
        return ends;
    }

    /// Text as it comes: as much as cannot become part of a stop text.
    private static final class Output implements IntPredicate {
        private final Console console;
        private final Optional<Tokenizer> tokenizer;
        private final Optional<StreamDecoder> stream;
        private final List<String> stops;
        private final StringBuilder text = new StringBuilder();
        private int shown;
        private int newFrom;
        private boolean stopped;

        Output(Console console, Optional<Tokenizer> tokenizer, List<String> stops) {
            this.console = console;
            this.tokenizer = tokenizer;
            this.stops = stops;
            stream = tokenizer.map(Tokenizer::stream);
        }

        /// @param written the prompt as the user wrote it, if it was a text
        void begin(int[] prompt, Optional<String> written) {
            if (written.isPresent()) {
                text.append(written.get());
            } else {
                stream.ifPresent(s -> Arrays.stream(prompt).forEach(id -> text.append(s.accept(id))));
            }
            newFrom = text.length();
            show(text.length());
        }

        @Override
        public boolean test(int id) {
            if (tokenizer.isPresent() && !tokenizer.get().isSpecial(id)) {
                text.append(stream.orElseThrow().accept(id));
            }
            for (String s : stops) {
                int at = text.indexOf(s, Math.max(newFrom, shown - s.length()));
                if (at >= 0) {
                    text.setLength(at);
                    stopped = true;
                }
            }
            show(stopped ? text.length() : text.length() - held());
            return !stopped;
        }

        /// The longest end of the text that a stop text could begin with.
        private int held() {
            int most = 0;
            for (String s : stops) {
                for (int n = Math.min(s.length() - 1, text.length() - newFrom); n > most; n--) {
                    if (s.startsWith(text.substring(text.length() - n))) {
                        most = n;
                    }
                }
            }
            return most;
        }

        private void show(int to) {
            if (!console.json() && to > shown) {
                console.stream(text.substring(shown, to));
                shown = to;
            }
        }

        /// @param score that of the best beam, if there were beams
        void end(int[] ids, OptionalDouble score, double tokensPerSecond) {
            if (!stopped) {
                stream.ifPresent(s -> text.append(s.flush()));
            }
            if (console.json()) {
                JsonObject o = new JsonObject();
                o.add("ids", Ids.json(ids));
                if (tokenizer.isPresent()) {
                    o.addProperty("text", text.toString());
                }
                score.ifPresent(x -> o.addProperty("score", x));
                o.addProperty("tok_per_s", Math.round(tokensPerSecond * 10) / 10.0);
                console.emit(o);
            } else {
                show(text.length());
                console.result(tokenizer.isEmpty() ? Ids.text(ids) : "");
                score.ifPresent(x -> console.detail("score " + x));
                console.detail(String.format("%.1f tokens a second", tokensPerSecond));
            }
        }
    }
}
