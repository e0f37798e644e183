package dev.deckle.app;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.deckle.generate.BeamSearch;
import dev.deckle.generate.Decoding;
import dev.deckle.generate.GenerationConfig;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.Scorer;
import dev.deckle.generate.TextGenerator;
import dev.deckle.generate.TextStream;
import dev.deckle.models.Adapter;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Predicate;
import java.util.function.Supplier;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/// Continues prompts. What no flag says, the model's `generation_config.json` says, and then the defaults here.
@Command(
        name = "generate",
        description = "Continue prompts with a model. Its generation_config.json has the defaults of the flags, where "
                + "there is one.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle generate --model runs/run-1 --prompt \"public static \"",
            "  ./deckle generate --model runs/run-1 --prompt \"/**\" --temperature 0    always the likeliest token",
            "  ./deckle generate --model runs/run-1 --ids 5,6,7 --max-new-tokens 20 --json",
            "  ./deckle generate --model runs/run-1 --prompt \"int \" --num-beams 4 --kv-cache paged",
            "  ./deckle generate --model runs/run-1 --prompts questions.txt --json    all at once"
        })
final class Generate extends Verb {
    private static final int DEFAULT_NEW_TOKENS = 128;

    @Option(names = "--model", paramLabel = "DIR", required = true, description = "a model or adapter folder")
    private Path model;

    @ArgGroup(multiplicity = "1")
    private Prompts prompts;

    @Option(names = "--max-new-tokens", paramLabel = "N", description = "at most so many; default: 128")
    private Integer maxNewTokens;

    @Option(names = "--min-new-tokens", paramLabel = "N", description = "no end before so many; default: 0")
    private Integer minNewTokens;

    @Option(names = "--num-return-sequences", paramLabel = "N",
            description = "so many continuations of each prompt, drawn or the best beams; default: 1")
    private Integer numReturnSequences;

    @Mixin
    private Sampling sampling;

    @Option(names = "--seed", paramLabel = "N",
            description = "the same seed, the same text; sequence i draws from seed N + i; default: another each time")
    private Long seed;

    @Option(names = "--stop", paramLabel = "TEXT", arity = "1..*", description = "end before this text")
    private List<String> stop;

    @Option(names = "--num-beams", paramLabel = "N",
            description = "search for the likeliest text with N beams instead of drawing; printed at the end; "
                    + "default: 1, no search")
    private Integer numBeams;

    @Option(names = "--length-penalty", paramLabel = "X",
            description = "a beam scores its log-probability / new tokens ^ X: above 0 longer; default: 1")
    private Double lengthPenalty;

    @Option(names = "--early-stopping", paramLabel = "WHEN",
            description = "end the search when N texts are finished: true at once, false when no beam looks better, "
                    + "never when none can become better; default: false",
            converter = EarlyStoppingWords.class)
    private BeamSearch.EarlyStopping earlyStopping;

    @Option(names = "--logprobs", description = "also the log-probability of each new token, as the model gave it")
    private boolean logprobs;

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

    /// Flags over the file over the defaults.
    private record Settings(
            Sampler sampler, BeamSearch search, int sequences, int minNewTokens, List<String> stops) {
        boolean drawing() {
            return sampler.temperature() > 0;
        }

        boolean searching() {
            return search.numBeams() > 1;
        }
    }

    /// A continued prompt.
    ///
    /// @param prompt which one, from 0
    /// @param score of a beam
    private record Continued(
            int prompt, int[] ids, String text, float[] logProbs, OptionalDouble score) {}

    @Override
    int run(Console console) throws IOException {
        requireNotNegative("--max-new-tokens", maxNewTokens);
        requireNotNegative("--min-new-tokens", minNewTokens);
        // what the flags say by themselves first: wrong usage needs no model
        checkFlags();
        GenerationConfig config = GenerationConfig.read(model);
        Settings settings = settings(config);
        Path words = Adapter.holder(model, "tokenizer.json");
        Optional<Tokenizer> tokenizer = prompts.texts() || Files.exists(words.resolve("tokenizer.json"))
                ? Optional.of(Tokenizer.load(words))
                : Optional.empty();
        if (!settings.stops.isEmpty() && tokenizer.isEmpty()) {
            throw wrong(stop, "stop_strings", "--stop needs a tokenizer, and " + model + " has no tokenizer.json");
        }
        List<Prompts.Prompt> all = prompts.read(this, tokenizer);
        try (CausalLm lm = Models.open(model)) {
            if (settings.search.numBeams() > lm.vocabSize()) {
                throw wrong(numBeams, "num_beams", "--num-beams " + settings.search.numBeams() + " is more than the "
                        + lm.vocabSize() + " tokens of the model");
            }
            var generator = new TextGenerator(lm, settings.sampler, config.endTokens(), cache.kind)
                    .withMinNewTokens(settings.minNewTokens);
            var work = new Work(console, lm, generator, settings, config, tokenizer, all);
            long start = System.nanoTime();
            List<Continued> made = settings.searching() ? work.search() : work.decode();
            double seconds = (System.nanoTime() - start) / 1e9;
            long tokens = made.stream().mapToLong(c -> c.ids.length - all.get(c.prompt).ids().length).sum();
            work.show(made, tokens / seconds);
        } catch (IllegalStateException | IllegalArgumentException e) {
            throw of(model, e);
        }
        return Deckle.DONE;
    }

    /// A setting that does not go: the flag's fault, or the file's where there is no flag.
    private RuntimeException wrong(Object flag, String key, String message) {
        return flag != null ? wrongUsage(message)
                : new IllegalArgumentException(model.resolve("generation_config.json") + ": " + key + ": " + message);
    }

    private void requireNotNegative(String flag, Integer n) {
        if (n != null && n < 0) {
            throw wrongUsage(flag + " must not be negative, not " + n);
        }
    }

    private void checkFlags() {
        sampling.over(Sampling.DEFAULT, this);
        named(() -> new BeamSearch(Sampling.or(numBeams, 1), Sampling.or(lengthPenalty, 1.0),
                Sampling.or(earlyStopping, BeamSearch.EarlyStopping.FALSE)));
        if (stop != null && stop.contains("")) {
            throw wrongUsage("--stop must not be empty");
        }
        if (numReturnSequences != null && numReturnSequences < 1) {
            throw wrongUsage("--num-return-sequences must be at least 1, not " + numReturnSequences);
        }
    }

    private Settings settings(GenerationConfig config) {
        boolean drawn = sampling.temperature != null && sampling.temperature > 0;
        int beams = Sampling.or(numBeams, drawn ? 1 : config.num_beams());
        boolean searching = beams > 1;
        List<String> idle = searching ? List.of("--top-k", "--top-p", "--min-p")
                : List.of("--length-penalty", "--early-stopping");
        for (String flag : idle) {
            if (given(flag)) {
                throw wrongUsage(flag + " does nothing with --num-beams " + beams);
            }
        }
        if (searching && drawn) {
            throw wrongUsage("--num-beams " + beams + " searches and draws nothing: --temperature must be 0 with it, "
                    + "not " + sampling.temperature);
        }
        if (numBeams == null && searching && sampling.temperature == null && config.do_sample().orElse(false)) {
            throw new IllegalArgumentException(model.resolve("generation_config.json") + ": do_sample is true and "
                    + "num_beams is " + beams + ", expected one of them only: give --temperature 0 to search, or "
                    + "--num-beams 1 to draw");
        }
        Sampler sampler = sampling.over(config.sampler(Sampling.DEFAULT), this);
        if (searching) {
            sampler = new Sampler(0, 0, 1, 0, sampler.repetitionPenalty());
        } else if (sampler.temperature() == 0 && sampling.temperature == null) {
            for (String flag : List.of("--top-k", "--top-p", "--min-p")) {
                if (given(flag)) {
                    throw wrongUsage(flag + " does nothing: " + model.resolve("generation_config.json")
                            + " says do_sample false; give --temperature to draw");
                }
            }
        }
        int sequences = Sampling.or(numReturnSequences, config.num_return_sequences());
        if (searching && sequences > beams) {
            throw wrongUsage("--num-return-sequences " + sequences + " is more than --num-beams " + beams);
        }
        if (!searching && sequences > 1 && sampler.temperature() == 0) {
            throw wrong(numReturnSequences, "num_return_sequences", "--num-return-sequences " + sequences
                    + " would be the same text each time: it needs --temperature above 0, or --num-beams");
        }
        return new Settings(sampler,
                new BeamSearch(beams, Sampling.or(lengthPenalty, config.length_penalty()),
                        Sampling.or(earlyStopping, config.early_stopping())),
                sequences, Sampling.or(minNewTokens, config.min_new_tokens()),
                Sampling.or(stop, config.stop_strings()));
    }

    private boolean given(String flag) {
        return spec().commandLine().getParseResult().hasMatchedOption(flag);
    }

    /// The library names a setting as the command does, without the dashes.
    private <T> T named(Supplier<T> settings) {
        try {
            return settings.get();
        } catch (IllegalArgumentException e) {
            throw wrongUsage("--" + e.getMessage());
        }
    }

    /// The prompts of one call on their way.
    private final class Work {
        private final Console console;
        private final CausalLm lm;
        private final TextGenerator generator;
        private final Settings settings;
        private final GenerationConfig config;
        private final Optional<Tokenizer> tokenizer;
        private final List<Prompts.Prompt> all;
        private final boolean alone; // the text of one sequence is shown as it comes

        Work(
                Console console, CausalLm lm, TextGenerator generator, Settings settings, GenerationConfig config,
                Optional<Tokenizer> tokenizer, List<Prompts.Prompt> all) {
            this.console = console;
            this.lm = lm;
            this.generator = generator;
            this.settings = settings;
            this.config = config;
            this.tokenizer = tokenizer;
            this.all = all;
            alone = all.size() * settings.sequences == 1 && !console.json();
        }

        private int most(int[] prompt) {
            return maxNewTokens != null ? maxNewTokens : config.maxNewTokens(prompt.length, DEFAULT_NEW_TOKENS);
        }

        /// All prompts together.
        List<Continued> decode() {
            List<int[]> ids = all.stream()
                    .flatMap(p -> Collections.nCopies(settings.sequences, p.ids()).stream())
                    .toList();
            List<Optional<TextStream>> texts =
                    ids.stream().map(_ -> tokenizer.map(t -> new TextStream(t, settings.stops))).toList();
            List<String> before = new ArrayList<>();
            for (int i = 0; i < ids.size(); i++) {
                before.add(before(all.get(i / settings.sequences), texts.get(i)));
            }
            List<Continued> made = new ArrayList<>();
            try (Decoding decoding = generator.decode(ids, this::most, seed == null ? System.nanoTime() : seed)) {
                if (alone) {
                    console.text(before.getFirst());
                }
                while (decoding.hasNext()) {
                    Decoding.Token token = decoding.next();
                    texts.get(token.sequence()).ifPresent(text -> {
                        String more = text.accept(token.id());
                        if (alone) {
                            console.text(more);
                        }
                        if (text.stopped()) {
                            decoding.stop(token.sequence());
                        }
                    });
                }
                for (int i = 0; i < ids.size(); i++) {
                    texts.get(i).map(TextStream::flush).filter(_ -> alone).ifPresent(console::text);
                    String text = before.get(i) + texts.get(i).map(TextStream::text).orElse("");
                    made.add(new Continued(i / settings.sequences, decoding.ids(i), text, decoding.logProbs(i),
                            OptionalDouble.empty()));
                }
            }
            return made;
        }

        /// One prompt after another: the beams of one are a batch already.
        List<Continued> search() {
            List<Continued> made = new ArrayList<>();
            for (int prompt = 0; prompt < all.size(); prompt++) {
                int[] ids = all.get(prompt).ids();
                Predicate<int[]> stops = settings.stops.isEmpty() ? _ -> false
                        : beam -> continued(new TextStream(tokenizer.orElseThrow(), settings.stops), beam, ids.length)
                                .stopped();
                List<BeamSearch.Hypothesis> found = generator.beams(ids, most(ids), settings.search, stops, _ -> {});
                for (BeamSearch.Hypothesis h : found.subList(0, Math.min(settings.sequences, found.size()))) {
                    Optional<TextStream> text = tokenizer.map(t -> new TextStream(t, settings.stops));
                    String shown = before(all.get(prompt), text)
                            + text.map(t -> continued(t, h.ids(), ids.length).text()).orElse("");
                    float[] logProbs = logprobs ? logProbs(h.ids(), ids.length) : new float[0];
                    made.add(new Continued(prompt, h.ids(), shown, logProbs, OptionalDouble.of(h.score())));
                    if (alone) {
                        console.text(shown);
                    }
                }
            }
            return made;
        }

        private TextStream continued(TextStream text, int[] ids, int from) {
            for (int i = from; i < ids.length && !text.stopped(); i++) {
                text.accept(ids[i]);
            }
            text.flush();
            return text;
        }

        private float[] logProbs(int[] ids, int from) {
            double[] all = Scorer.score(lm, ids).logprobs();
            float[] fresh = new float[ids.length - from];
            for (int i = 0; i < fresh.length; i++) {
                fresh[i] = (float) all[from - 1 + i];
            }
            return fresh;
        }

        /// The text of a prompt, as the user wrote it if it was one.
        private String before(Prompts.Prompt prompt, Optional<TextStream> text) {
            return prompt.text().orElseGet(() -> text.map(t -> t.begin(prompt.ids())).orElse(""));
        }

        void show(List<Continued> made, double tokensPerSecond) {
            for (int i = 0; i < made.size(); i++) {
                Continued c = made.get(i);
                if (console.json()) {
                    console.emit(json(c, made.size() > 1, tokensPerSecond));
                    continue;
                }
                if (made.size() > 1) {
                    console.result((i > 0 ? "\n" : "") + "--- prompt " + (c.prompt + 1));
                }
                console.result(tokenizer.isEmpty() ? Ids.text(c.ids) : alone ? "" : c.text);
                if (logprobs) {
                    console.result(Arrays.toString(c.logProbs));
                }
                c.score.ifPresent(x -> console.detail("score " + x));
            }
            if (!console.json()) {
                console.detail(String.format("%.1f tokens a second", tokensPerSecond));
            }
        }

        private JsonObject json(Continued c, boolean several, double tokensPerSecond) {
            JsonObject o = new JsonObject();
            if (several) {
                o.addProperty("prompt", c.prompt);
            }
            o.add("ids", Ids.json(c.ids));
            if (tokenizer.isPresent()) {
                o.addProperty("text", c.text);
            }
            c.score.ifPresent(x -> o.addProperty("score", x));
            if (logprobs) {
                JsonArray each = new JsonArray();
                for (float f : c.logProbs) {
                    each.add(f);
                }
                o.add("logprobs", each);
            }
            o.addProperty("tok_per_s", Math.round(tokensPerSecond * 10) / 10.0);
            return o;
        }
    }
}
