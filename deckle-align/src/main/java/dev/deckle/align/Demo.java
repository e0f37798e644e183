package dev.deckle.align;

import com.google.gson.JsonObject;
import dev.deckle.generate.GenerationConfig;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.io.AtomicFile;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.random.Generator;
import dev.deckle.tokenizer.Tokenizer;
import dev.deckle.train.Pretraining;
import dev.deckle.train.Run;
import dev.deckle.train.TrainListener;
import dev.deckle.train.TrainOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/// From nothing to aligned policies, on a made task whose answers can be checked: digits are to be put in order. A tiny
/// model is made, fine-tuned to a weak start, and from there improved by each method.
public final class Demo {
    /// The methods, in the order in which they run.
    public static final List<String> METHODS = List.of("dpo", "ppo", "grpo", "dapo", "gspo");

    private static final int DIGITS = 4;
    private static final int HELD_OUT = 300;
    private static final int PROMPTS = 3000;
    private static final int SFT_STEPS = 55;

    /// What a method did.
    ///
    /// @param before the share of held-out prompts that the weak start answers rightly, taking the likeliest tokens
    /// @param after the same of what the method made of it
    public record Result(String method, long seed, double before, double after, long steps, double seconds) {
        public JsonObject json() {
            JsonObject o = new JsonObject();
            o.addProperty("method", method);
            o.addProperty("seed", seed);
            o.addProperty("before", before);
            o.addProperty("after", after);
            o.addProperty("steps", steps);
            o.addProperty("seconds", Math.round(seconds * 10) / 10.0);
            return o;
        }
    }

    private record Problem(String prompt, String answer) {
        static Problem of(Generator random) {
            StringBuilder digits = new StringBuilder();
            for (int i = 0; i < DIGITS; i++) {
                digits.append(random.randint(0, 10, 1).toLongs()[0]);
            }
            String sorted = digits.chars().sorted().mapToObj(Character::toString).collect(Collectors.joining());
            return new Problem(digits + ">", sorted);
        }
    }

    private final Path folder;
    private final long seed;
    private final TrainListener listener;
    private final List<Problem> practice;
    private final List<Problem> heldOut;
    private double before;

    private Demo(Path folder, long seed, TrainListener listener) {
        this.folder = folder;
        this.seed = seed;
        this.listener = listener;
        Generator random = new Generator(seed);
        Set<Problem> all = new LinkedHashSet<>();
        while (all.size() < PROMPTS + HELD_OUT) {
            all.add(Problem.of(random));
        }
        List<Problem> problems = List.copyOf(all);
        heldOut = problems.subList(0, HELD_OUT);
        practice = problems.subList(HELD_OUT, problems.size());
    }

    /// Runs the methods from one start.
    ///
    /// @param folder everything goes here
    /// @param each sees the result of a method when it is there
    public static void run(Path folder, long seed, List<String> methods, TrainListener listener, Consumer<Result> each)
            throws IOException {
        Demo demo = new Demo(folder, seed, listener);
        demo.prepare();
        for (String method : methods) {
            each.accept(demo.improve(method));
        }
    }

    // ---- the start

    private void prepare() throws IOException {
        write("text.jsonl", practice.stream().map(p -> line("text", p.prompt + p.answer)).toList());
        write("examples.jsonl", practice.stream().map(p -> line("prompt", p.prompt, "completion", p.answer)).toList());
        write("prompts.jsonl", practice.stream().map(p -> line("prompt", p.prompt, "answer", p.answer)).toList());
        TrainOptions base = TrainOptions.preset("small");
        base.data = List.of(file("text.jsonl").toString());
        base.layers = 2;
        base.hidden_size = 64;
        base.heads = 4;
        base.context = 32;
        base.batch_size = 16;
        base.vocab_size = 257;
        base.steps = 2;
        base.seed = seed;
        try (Run run = Pretraining.start(base.complete(), file("base"), listener)) {
            run.train(() -> false);
        }
        AlignOptions sft = options(AlignOptions.Method.SFT, "base", "examples.jsonl");
        sft.steps = SFT_STEPS;
        sft.batch_size = 64;
        sft.lr = 2e-3;
        train(sft, "start");
        before = accuracy(file("start"));
    }

    private AlignOptions options(AlignOptions.Method method, String model, String data) {
        AlignOptions o = new AlignOptions(method);
        o.model = file(model).toString();
        o.data = file(data).toString();
        o.seed = seed;
        o.max_length = 32;
        o.save_every = 1 << 20;
        o.eval_every = 1 << 20;
        return o;
    }

    private void train(AlignOptions o, String out) throws IOException {
        try (Run run = Alignment.start(o.complete(), file(out), listener)) {
            run.train(() -> false);
        }
    }

    // ---- the methods

    private Result improve(String method) throws IOException {
        long began = System.nanoTime();
        AlignOptions o = method.equals("dpo") ? dpo() : method.equals("ppo") ? ppo() : grpo(method);
        train(o, method);
        double seconds = (System.nanoTime() - began) / 1e9;
        return new Result(method, seed, before, accuracy(file(method)), o.steps, seconds);
    }

    private AlignOptions grpo(String loss) {
        AlignOptions o = options(AlignOptions.Method.GRPO, "start", "prompts.jsonl");
        o.loss = loss;
        o.reward = List.of("exact_match");
        o.group_size = 8;
        o.batch_size = 512;
        o.iterations = 2;
        o.steps = loss.equals("dapo") ? 1000 : 1400; // it draws more for each
        o.lr = 5e-4;
        o.lr_schedule = "linear";
        o.temperature = 0.8;
        o.max_new_tokens = DIGITS + 2;
        o.epsilon_high = loss.equals("dapo") ? 0.28 : 0.2;
        return o;
    }

    private AlignOptions ppo() {
        AlignOptions o = options(AlignOptions.Method.PPO, "start", "prompts.jsonl");
        o.reward = List.of("exact_match");
        o.batch_size = 512;
        o.iterations = 2;
        o.mini_batches = 2;
        o.steps = 800;
        o.lr = 5e-4;
        o.temperature = 0.8;
        o.beta = 0.005;
        o.value_coef = 0.5;
        o.max_new_tokens = DIGITS + 2;
        return o;
    }

    /// Pairs of a right and a wrong answer that the start itself gave.
    private AlignOptions dpo() throws IOException {
        List<String> pairs = new ArrayList<>();
        int samples = 8;
        try (CausalLm start = Models.open(file("start"))) {
            Tokenizer tokenizer = Tokenizer.load(file("start"));
            for (int from = 0; from < practice.size(); from += 200) {
                List<Problem> some = practice.subList(from, Math.min(practice.size(), from + 200));
                List<Problem> asked = some.stream().flatMap(p -> java.util.Collections.nCopies(samples, p).stream())
                        .toList();
                List<String> answers = answers(start, tokenizer, asked, new Sampler(0.8, 0, 1, 0, 1), seed + from);
                for (int i = 0; i < some.size(); i++) {
                    Problem p = some.get(i);
                    Set<String> said = new LinkedHashSet<>(answers.subList(i * samples, (i + 1) * samples));
                    if (said.remove(p.answer) && !said.isEmpty()) {
                        pairs.add(line("prompt", p.prompt, "chosen", p.answer, "rejected", said.iterator().next()));
                    }
                }
            }
        }
        write("pairs.jsonl", pairs);
        AlignOptions o = options(AlignOptions.Method.DPO, "start", "pairs.jsonl");
        o.batch_size = 32;
        o.steps = 200;
        o.lr = 5e-5;
        o.beta = 0.1;
        return o;
    }

    // ---- measuring

    private double accuracy(Path model) throws IOException {
        try (CausalLm m = Models.open(model)) {
            List<String> answers = answers(m, Tokenizer.load(model), heldOut, Sampler.greedy(), 0);
            int right = 0;
            for (int i = 0; i < answers.size(); i++) {
                right += answers.get(i).equals(heldOut.get(i).answer) ? 1 : 0;
            }
            return (double) right / answers.size();
        }
    }

    private List<String> answers(CausalLm m, Tokenizer tokenizer, List<Problem> asked, Sampler sampler, long seed)
            throws IOException {
        Set<Integer> ends = GenerationConfig.read(file("start")).endTokens();
        TextGenerator generator = new TextGenerator(m, sampler, ends);
        List<int[]> prompts = asked.stream().map(p -> tokenizer.begin(p.prompt)).toList();
        try (var decoding = generator.decode(prompts, DIGITS + 2, seed)) {
            while (decoding.hasNext()) {
                decoding.next();
            }
            List<String> answers = new ArrayList<>();
            for (int i = 0; i < prompts.size(); i++) {
                int[] ids = decoding.ids(i);
                int end = ends.contains(ids[ids.length - 1]) ? ids.length - 1 : ids.length;
                answers.add(tokenizer.decode(Arrays.copyOfRange(ids, prompts.get(i).length, end)));
            }
            return answers;
        }
    }

    // ---- files

    private Path file(String name) {
        return folder.resolve(name);
    }

    private void write(String name, List<String> lines) {
        AtomicFile.write(file(name), String.join("\n", lines) + "\n");
    }

    private static String line(String... keysAndValues) {
        JsonObject o = new JsonObject();
        for (int i = 0; i < keysAndValues.length; i += 2) {
            o.addProperty(keysAndValues[i], keysAndValues[i + 1]);
        }
        return o.toString();
    }

    /// The word of a method, as it is written.
    public static String known(String method) {
        String m = method.toLowerCase(Locale.ROOT);
        if (!METHODS.contains(m)) {
            throw new IllegalArgumentException("--method must be one of " + String.join(", ", METHODS) + ", not "
                    + method);
        }
        return m;
    }
}
