package dev.deckle.app;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.deckle.generate.Sampler;
import dev.deckle.lm.Model;
import dev.deckle.reward.RewardPanel;
import dev.deckle.reward.Rewards;
import dev.deckle.synth.Author;
import dev.deckle.synth.Backward;
import dev.deckle.synth.Endpoint;
import dev.deckle.synth.Forward;
import dev.deckle.synth.Judge;
import dev.deckle.synth.Keep;
import dev.deckle.synth.LocalAuthor;
import dev.deckle.synth.Plan;
import dev.deckle.synth.Preferences;
import dev.deckle.synth.Rationalise;
import dev.deckle.synth.Structure;
import dev.deckle.synth.Synthesis;
import dev.deckle.synth.Tally;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Makes data for `align`, by models.
@Command(
        name = "synth",
        description = "Make data for align: reasoning forwards and backwards, jokes by their structure, preferences.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle synth forward --data prompts.jsonl --out r.jsonl --model DIR --samples 8 --keep majority",
            "  ./deckle synth forward --data prompts.jsonl --out r.jsonl --endpoint http://localhost:8000 \\",
            "      --endpoint-model NAME --api-key-env KEY --keep reward --reward exact_match",
            "  ./deckle synth backward --data answers.jsonl --out r.jsonl --model DIR     thoughts for good answers",
            "  ./deckle synth structure --template \"large models\"                         the prompt for a joke",
            "  ./deckle synth structure --data written.jsonl --out jokes.jsonl            jokes that a model wrote",
            "  ./deckle synth preferences --data prompts.jsonl --out pairs.jsonl --model DIR --reward arithmetic",
            "A run that ended early goes on when the same command is given again."
        })
final class Synth extends Verb {
    /// What is made.
    enum Mode {
        forward,
        backward,
        structure,
        preferences
    }

    /// Which samples `forward` keeps.
    enum Kept {
        all,
        reward,
        majority
    }

    /// How records are written.
    enum Format {
        messages,
        completion
    }

    /// Which pairs `preferences` makes.
    enum Pairs {
        extremes,
        all
    }

    @Parameters(paramLabel = "METHOD", arity = "0..1", description = "${COMPLETION-CANDIDATES}")
    private Mode mode;

    @Option(names = "--data", paramLabel = "FILE",
            description = "JSON lines with prompt; backward: and answer; structure without a model: and completion; "
                    + "preferences without a model: and completions")
    private Path data;

    @Option(names = "--out", paramLabel = "FILE",
            description = "where the records go; FILE.journal beside it holds what was drawn")
    private Path out;

    @Option(names = "--model", paramLabel = "DIR", description = "a model folder that writes, and for backward judges")
    private Path model;

    @Option(names = "--endpoint", paramLabel = "URL",
            description = "an OpenAI-compatible server that writes: its address, with or without /v1")
    private URI endpoint;

    @Option(names = "--endpoint-model", paramLabel = "NAME", description = "the model's name there")
    private String endpointModel;

    @Option(names = "--api-key-env", paramLabel = "VAR", description = "the environment variable that holds the key")
    private String keyVariable;

    @Option(names = "--timeout", paramLabel = "SECONDS", defaultValue = "300",
            description = "for an answer of the endpoint; default: ${DEFAULT-VALUE}")
    private int timeout;

    @Option(names = "--retries", paramLabel = "N", defaultValue = "6",
            description = "tries after the first, where that can help; default: ${DEFAULT-VALUE}")
    private int retries;

    @Option(names = "--samples", paramLabel = "K", defaultValue = "4",
            description = "texts for each prompt, or alternatives of each segment; default: ${DEFAULT-VALUE}")
    private int samples;

    @Option(names = "--keep", paramLabel = "WHICH",
            description = "forward: ${COMPLETION-CANDIDATES}; default: reward with --reward, else all")
    private Kept keep;

    @Option(names = "--reward", paramLabel = "SPEC", arity = "1..*",
            description = "exact_match[:COLUMN], regex:PATTERN, format, length:N, arithmetic, command:CMD, FILE.java, "
                    + "or a class with its jar; several are added")
    private List<String> rewards = List.of();

    @Option(names = "--reward-jar", paramLabel = "JAR", description = "where a reward's class is")
    private Path rewardJar;

    @Option(names = "--min-reward", paramLabel = "X", defaultValue = "1",
            description = "the least that is kept; default: ${DEFAULT-VALUE}")
    private double minReward;

    @Option(names = "--rationalise",
            description = "backward: draw thoughts from a prompt with the answer as a hint, left out of the record")
    private boolean rationalise;

    @Option(names = "--rounds", paramLabel = "N", defaultValue = "3",
            description = "backward: the most times that each segment is tried; default: ${DEFAULT-VALUE}")
    private int rounds;

    @Option(names = "--template", paramLabel = "TOPIC", description = "structure: print what a model is told, and end")
    private String template;

    @Option(names = "--judge-model", paramLabel = "DIR", description = "preferences: a model folder that gives marks")
    private Path judgeModel;

    @Option(names = "--judge-endpoint", paramLabel = "URL", description = "preferences: a server that gives marks")
    private URI judgeEndpoint;

    @Option(names = "--judge-endpoint-model", paramLabel = "NAME", description = "the judge's name there")
    private String judgeEndpointModel;

    @Option(names = "--criterion", paramLabel = "TEXT", defaultValue = "how good it is",
            description = "what marks are for, such as \"how funny it is\"; default: ${DEFAULT-VALUE}")
    private String criterion;

    @Option(names = "--pairs", paramLabel = "WHICH", defaultValue = "extremes",
            description = "preferences: the best with the worst (extremes), or any two (all); "
                    + "default: ${DEFAULT-VALUE}")
    private Pairs pairs;

    @Option(names = "--system", paramLabel = "TEXT",
            description = "forward: what a model that holds conversations is told, in place of to think first")
    private String system;

    @Option(names = "--format", paramLabel = "FORMAT",
            description = "${COMPLETION-CANDIDATES}; default: as the model that writes takes it")
    private Format format;

    @Option(names = "--max-new-tokens", paramLabel = "N", defaultValue = "512",
            description = "in a text; a longer one is cut off and not used; default: ${DEFAULT-VALUE}")
    private int maxNewTokens;

    @Option(names = "--stop", paramLabel = "TEXT", arity = "1..*", description = "texts before which one ends")
    private List<String> stop = List.of();

    @Option(names = "--seed", paramLabel = "N", defaultValue = "0",
            description = "the same seed, the same records; default: ${DEFAULT-VALUE}")
    private long seed;

    @Mixin
    private final Sampling sampling = new Sampling();

    private final Map<Path, Model> models = new HashMap<>(); // a folder is opened once
    private final List<Author> servers = new ArrayList<>();

    @Override
    boolean computes() {
        return model != null || judgeModel != null;
    }

    @Override
    int run(Console console) throws IOException {
        if (mode == null) {
            throw wrongUsage("METHOD is missing: forward, backward, structure or preferences");
        }
        if (template != null) {
            if (mode != Mode.structure) {
                throw wrongUsage("--template is structure's");
            }
            console.result(Structure.template(template));
            return Deckle.DONE;
        }
        check();
        try {
            Optional<RewardPanel> panel = rewards.isEmpty() ? Optional.empty() : Optional.of(panel());
            try {
                report(console, follow(console, plan(panel)), panel);
            } finally {
                panel.ifPresent(RewardPanel::close);
            }
        } finally {
            servers.forEach(Author::close);
            models.values().forEach(Model::close);
        }
        return Deckle.DONE;
    }

    // ---- flags

    private void check() {
        if (data == null || out == null) {
            throw wrongUsage("--data FILE and --out FILE are needed: what to make records of, and where they go");
        }
        together("--endpoint URL", endpoint, "--endpoint-model NAME", endpointModel);
        together("--judge-endpoint URL", judgeEndpoint, "--judge-endpoint-model NAME", judgeEndpointModel);
        boolean writes = model != null || endpoint != null;
        boolean reverse = mode == Mode.backward && !rationalise;
        if (reverse && model == null) {
            throw wrongUsage("--model DIR is needed: the perplexity of answers is computed here");
        }
        if (!writes && (mode == Mode.forward || mode == Mode.backward)) {
            throw wrongUsage("--model DIR or --endpoint URL is needed: what writes");
        }
        if (model != null && endpoint != null && !reverse) {
            throw wrongUsage("--model and --endpoint: only one of them writes");
        }
        if (rationalise && mode != Mode.backward) {
            throw wrongUsage("--rationalise is backward's");
        }
        if (!rewards.isEmpty() && mode != Mode.forward && mode != Mode.preferences) {
            throw wrongUsage("--reward is forward's and preferences'");
        }
        if (keep != null && mode != Mode.forward) {
            throw wrongUsage("--keep is forward's");
        }
        if (keep == Kept.reward == rewards.isEmpty() && keep != null) {
            throw wrongUsage(rewards.isEmpty() ? "--keep reward needs a --reward SPEC"
                    : "--reward judges with --keep reward, not with --keep " + keep);
        }
        int judges = (rewards.isEmpty() ? 0 : 1) + (judgeModel == null ? 0 : 1) + (judgeEndpoint == null ? 0 : 1);
        if (mode == Mode.preferences && judges != 1) {
            throw wrongUsage("one judge is needed: --reward SPEC, --judge-model DIR or --judge-endpoint URL");
        }
        if (mode != Mode.preferences && judges > (rewards.isEmpty() ? 0 : 1)) {
            throw wrongUsage("a judge is preferences'");
        }
        if (model == null && rewards.stream().anyMatch(r -> r.strip().matches("(?s)(length|overlong):.*"))) {
            throw wrongUsage("--reward length and overlong count tokens, which only --model DIR knows");
        }
        positive("--samples", samples);
        positive("--rounds", rounds);
        positive("--max-new-tokens", maxNewTokens);
        positive("--timeout", timeout);
        if (retries < 0 || !Double.isFinite(minReward)) {
            throw wrongUsage(retries < 0 ? "--retries " + retries + ": 0 or more are expected"
                    : "--min-reward must be finite");
        }
        if (stop.contains("")) {
            throw wrongUsage("--stop must not be empty");
        }
        if (mode == Mode.preferences && writes && samples < 2) {
            throw wrongUsage("--samples 1: a pair takes two");
        }
    }

    private void together(String one, Object a, String other, Object b) {
        if (a == null != (b == null)) {
            throw wrongUsage((a == null ? other + " without " + one : one + " without " + other) + ": give both");
        }
    }

    private void positive(String flag, int n) {
        if (n < 1) {
            throw wrongUsage(flag + " " + n + ": 1 or more are expected");
        }
    }

    // ---- what the flags ask for

    private Plan plan(Optional<RewardPanel> panel) throws IOException {
        Optional<Author> author = endpoint != null ? Optional.of(remote(endpoint, endpointModel, sampler()))
                : model != null ? Optional.of(local(model, sampler())) : Optional.empty();
        return switch (mode) {
            case forward -> new Forward(author.orElseThrow(), samples, kept(panel),
                    system == null ? Forward.SYSTEM : system, settings());
            case backward -> rationalise ? new Rationalise(author.orElseThrow(), samples, settings())
                    : new Backward(author.orElseThrow(), local(model, sampler()), samples, rounds, settings());
            case structure -> new Structure(author, samples, settings());
            case preferences -> new Preferences(author, samples, judge(panel),
                    Preferences.Pairs.valueOf(pairs.name().toUpperCase(Locale.ROOT)), settings());
        };
    }

    private Sampler sampler() {
        return sampling.over(Sampling.DEFAULT, this);
    }

    private Keep kept(Optional<RewardPanel> panel) {
        return keep == Kept.majority ? new Keep.Majority()
                : panel.<Keep>map(p -> new Keep.Reward(p, minReward)).orElse(new Keep.All());
    }

    private Judge judge(Optional<RewardPanel> panel) throws IOException {
        if (panel.isPresent()) {
            return new Judge.Rewarding(panel.get(), String.join(" + ", panel.get().names()));
        }
        Sampler greedy = Sampler.greedy();
        return new Judge.Asking(judgeModel != null ? local(judgeModel, greedy)
                : remote(judgeEndpoint, judgeEndpointModel, greedy), criterion);
    }

    private LocalAuthor local(Path folder, Sampler sampler) throws IOException {
        Model opened = models.get(folder);
        if (opened == null) {
            opened = Model.load(folder);
            models.put(folder, opened);
        }
        return LocalAuthor.of(opened, folder, sampler, maxNewTokens, stop);
    }

    private Author remote(URI address, String name, Sampler sampler) {
        Optional<String> key = Optional.empty();
        if (keyVariable != null) {
            key = Optional.ofNullable(System.getenv(keyVariable)).filter(k -> !k.isBlank()).map(String::strip);
            if (key.isEmpty()) {
                throw wrongUsage("--api-key-env " + keyVariable + ": that variable is not set");
            }
        }
        try {
            Author author = new Endpoint(new Endpoint.Settings(address, name, key, sampler.temperature(),
                    sampler.topP(), maxNewTokens, stop, Duration.ofSeconds(timeout), retries));
            servers.add(author);
            return author;
        } catch (IllegalArgumentException e) {
            throw wrongUsage(e.getMessage());
        }
    }

    private RewardPanel panel() throws IOException {
        List<RewardPanel.Weighted> all = new ArrayList<>();
        for (String spec : rewards) {
            try {
                all.add(new RewardPanel.Weighted(Rewards.open(spec, Optional.ofNullable(rewardJar)), 1));
            } catch (IllegalArgumentException e) {
                throw wrongUsage("--reward: " + e.getMessage());
            }
        }
        return new RewardPanel(all);
    }

    /// What a resumed run must have again.
    private JsonObject settings() {
        JsonObject o = new JsonObject();
        Sampler s = sampler();
        o.addProperty("samples", samples);
        o.addProperty("temperature", s.temperature());
        o.addProperty("top-k", s.topK());
        o.addProperty("top-p", s.topP());
        o.addProperty("min-p", s.minP());
        o.addProperty("repetition-penalty", s.repetitionPenalty());
        o.addProperty("max-new-tokens", maxNewTokens);
        o.add("stop", texts(stop));
        switch (mode) {
            case forward -> {
                o.addProperty("keep", String.valueOf(keep));
                o.add("reward", texts(rewards));
                o.addProperty("min-reward", minReward);
                o.addProperty("system", system == null ? "" : system);
            }
            case backward -> {
                o.addProperty("rounds", rounds);
                o.addProperty("perplexity-by", String.valueOf(model));
            }
            case structure -> {}
            case preferences -> {
                o.add("reward", texts(rewards));
                o.addProperty("judge", judgeModel != null ? judgeModel.toString() : String.valueOf(judgeEndpointModel));
                o.addProperty("criterion", criterion);
                o.addProperty("pairs", pairs.name());
            }
        }
        return o;
    }

    private static JsonArray texts(List<String> all) {
        JsonArray a = new JsonArray();
        all.forEach(a::add);
        return a;
    }

    // ---- what the user sees

    private Tally follow(Console console, Plan plan) throws IOException {
        try (LiveLine live = console.live()) {
            return Synthesis.run(new Synthesis.Options(data, out,
                    Optional.ofNullable(format).map(f -> f == Format.messages), seed), plan,
                    tally -> live.show(() -> shown(tally)));
        }
    }

    private void report(Console console, Tally tally, Optional<RewardPanel> panel) {
        panel.ifPresent(p -> p.firstFailures().forEach((name, why) -> console.log("reward " + name + ": " + why)));
        if (!tally.firstUnusable().isEmpty()) {
            console.log("the first unusable row: " + tally.firstUnusable());
        }
        if (console.json()) {
            JsonObject o = new JsonObject();
            o.addProperty("out", out.toString());
            o.addProperty("records", tally.count("records"));
            tally.counts().forEach((name, n) -> o.addProperty(name.replace(' ', '_'), n));
            console.emit(o);
        } else {
            console.result(out + ": " + shown(tally));
        }
    }

    private static String shown(Tally tally) {
        String others = tally.counts().entrySet().stream()
                .filter(e -> !e.getKey().equals("records"))
                .map(e -> String.format(Locale.ROOT, "%s %,d", e.getKey(), e.getValue()))
                .collect(Collectors.joining(", "));
        return String.format(Locale.ROOT, "records %,d; %s", tally.count("records"), others);
    }
}
