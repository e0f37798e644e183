package dev.deckle.align;

import dev.deckle.autograd.NoGrad;
import dev.deckle.io.Safetensors;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.models.SequenceClassifier;
import dev.deckle.nn.ParameterHome;
import dev.deckle.nn.Pass;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import dev.deckle.train.TrainListener;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/// PPO as the papers write it, on plain arrays and sequence by sequence: what a run should tell of each step. It
/// listens to the run and keeps a copy of each checkpoint.
final class PlainPpo implements TrainListener {
    /// What is told of a step.
    record Told(double loss, double valueLoss, double clipRatio, double entropy, double beta, double divergence,
            double reward) {}

    /// Of each completion's tokens.
    private record Known(double[][] logprobs, double[][] entropies, double[][] values) {}

    /// A batch before its first step.
    private record Judged(double[][] advantages, double[][] returns, double divergence) {}

    private final AlignOptions o;
    private final Path out;
    private final Path kept;
    private final List<Step> found = new ArrayList<>();
    private int clippedValues;

    PlainPpo(AlignOptions o, Path out, Path kept) {
        this.o = o;
        this.out = out;
        this.kept = kept;
    }

    List<Step> found() {
        return found;
    }

    /// How often the loss of a clipped value was the larger one.
    int clippedValues() {
        return clippedValues;
    }

    // ---- listening

    @Override
    public void note(String line) {}

    @Override
    public void sample(long step, String text) {}

    @Override
    public void step(Step step) {
        found.add(step);
        Path from = out.resolve(checkpoint(step.step() - 1));
        try {
            if (Files.isDirectory(from)) {
                Path to = Files.createDirectories(kept.resolve("" + (step.step() - 1)));
                for (String file : List.of("config.json", "model.safetensors", "beside.safetensors")) {
                    Files.copy(from.resolve(file), to.resolve(file));
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String checkpoint(long step) {
        return String.format("checkpoints/step-%07d", step);
    }

    // ---- models

    /// What actor and critic say after so many steps.
    private Known known(int step, List<Row.Rollout> rollouts) throws IOException {
        Path actor = step == 0 ? Path.of(o.model) : kept.resolve("" + step);
        try (ModelMemory memory = new ModelMemory();
                CausalLm a = Models.open(actor);
                SequenceClassifier c = step == 0 || o.critic.equals("shared")
                        ? Models.openClassifier(Path.of(o.model), ParameterHome.in(memory, DType.F32), o.seed)
                        : Models.openClassifier(critic(actor))) {
            Tensor score = step == 0 ? c.parameters().get("score.weight")
                    : Safetensors.open(actor.resolve("beside.safetensors"), memory).tensors().get(
                            "critic/score.weight");
            return o.critic.equals("shared")
                    ? known(a, ids -> a.hidden(ids, Pass.evaluate()).matmul(score.t()), rollouts)
                    : known(a, ids -> c.forward(ids, Pass.evaluate()), rollouts);
        }
    }

    /// The critic of a checkpoint as a folder of its own.
    private static Path critic(Path checkpoint) throws IOException {
        Path folder = Files.createDirectories(checkpoint.resolve("critic"));
        Files.writeString(folder.resolve("config.json"), Files.readString(checkpoint.resolve("config.json")));
        try (ModelMemory memory = new ModelMemory()) {
            Map<String, Tensor> own = new LinkedHashMap<>();
            Safetensors.open(checkpoint.resolve("beside.safetensors"), memory).tensors()
                    .forEach((n, t) -> own.put(n.substring("critic/".length()), t));
            Safetensors.save(folder.resolve("model.safetensors"), own, Map.of());
        }
        return folder;
    }

    private Known known(CausalLm actor, UnaryOperator<Tensor> critic, List<Row.Rollout> rollouts) {
        int n = rollouts.size();
        Known k = new Known(new double[n][], new double[n][], new double[n][]);
        try (NoGrad _ = NoGrad.open(); Workspace _ = Workspace.open()) {
            for (int i = 0; i < n; i++) {
                int prompt = rollouts.get(i).prompt().length;
                int[] completion = rollouts.get(i).completion();
                int[] all = Arrays.copyOf(rollouts.get(i).prompt(), prompt + completion.length);
                System.arraycopy(completion, 0, all, prompt, completion.length);
                Tensor ids = Tensor.of(Arrays.stream(all).asLongStream().toArray(), 1, all.length);
                Tensor logits = actor.forward(ids, Pass.evaluate());
                Tensor values = critic.apply(ids); // (1, T, 1)
                k.logprobs[i] = new double[completion.length];
                k.entropies[i] = new double[completion.length];
                k.values[i] = new double[completion.length];
                for (int t = 0; t < completion.length; t++) {
                    double[] p = softmax(logits, prompt + t - 1);
                    k.logprobs[i][t] = Math.log(p[completion[t]]);
                    k.entropies[i][t] = -Arrays.stream(p).filter(x -> x > 0).map(x -> x * Math.log(x)).sum();
                    k.values[i][t] = values.at(0, prompt + t - 1, 0);
                }
            }
        }
        return k;
    }

    private double[] softmax(Tensor logits, int at) {
        double[] p = new double[Alignments.VOCAB];
        Arrays.setAll(p, v -> Math.exp(logits.at(0, at, v) / o.temperature));
        double sum = Arrays.stream(p).sum();
        return Arrays.stream(p).map(x -> x / sum).toArray();
    }

    // ---- the definition

    private static boolean counts(Row.Rollout r) {
        return !Double.isNaN(r.reward());
    }

    private Judged judge(List<Row.Rollout> batch, Known reference, double[][] values, double beta) {
        int n = batch.size();
        double[][] advantages = new double[n][0];
        double[][] returns = new double[n][0];
        double divergence = 0;
        for (int i = 0; i < n; i++) {
            Row.Rollout r = batch.get(i);
            if (!counts(r)) {
                continue;
            }
            int length = r.completion().length;
            double[] delta = new double[length];
            for (int t = 0; t < length; t++) {
                double k1 = r.logprobs()[t] - reference.logprobs[i][t];
                divergence += k1 / n;
                double reward = -beta * (o.kl.equals("k1") ? k1 : Math.exp(-k1) - 1 + k1);
                if (t == length - 1) {
                    reward += r.reward() - (r.ended() ? 0 : o.missing_end_penalty);
                }
                delta[t] = reward + (t + 1 < length ? o.gamma * values[i][t + 1] : 0) - values[i][t];
            }
            advantages[i] = new double[length];
            returns[i] = new double[length];
            for (int t = 0; t < length; t++) {
                for (int l = t; l < length; l++) {
                    advantages[i][t] += Math.pow(o.gamma * o.lambda, l - t) * delta[l];
                }
                returns[i][t] = advantages[i][t] + values[i][t];
            }
        }
        double[] all = Arrays.stream(advantages).flatMapToDouble(Arrays::stream).toArray();
        double mean = Arrays.stream(all).sum() / all.length;
        double std = Math.sqrt(Arrays.stream(all).map(a -> Math.pow(a - mean, 2)).sum() / (all.length - 1));
        double[][] white = Arrays.stream(advantages)
                .map(row -> Arrays.stream(row).map(a -> (a - mean) / (std + 1e-8)).toArray())
                .toArray(double[][]::new);
        return new Judged(white, returns, divergence);
    }

    /// Of batches that are each used by two steps as a whole.
    List<Told> steps(List<Row.Rollout> drawn) throws IOException {
        List<Told> told = new ArrayList<>();
        double beta = o.beta;
        double before = 0;
        for (int b = 0; b < 2; b++) {
            List<Row.Rollout> batch = drawn.subList(b * o.batch_size, (b + 1) * o.batch_size);
            double[][] old = known(2 * b, batch).values;
            if (b > 0) {
                beta *= 1 + Math.clamp(before / o.kl_target - 1, -0.2, 0.2) * o.batch_size / 10_000;
            }
            Judged j = judge(batch, known(0, batch), old, beta);
            before = j.divergence;
            double reward = batch.stream().mapToDouble(Row.Rollout::reward).filter(r -> !Double.isNaN(r)).average()
                    .orElseThrow();
            for (int s = 2 * b; s < 2 * b + 2; s++) {
                told.add(step(batch, j, old, known(s, batch), beta, reward));
            }
        }
        return told;
    }

    private Told step(List<Row.Rollout> batch, Judged j, double[][] old, Known now, double beta, double reward) {
        double policy = 0;
        double value = 0;
        double clipped = 0;
        double entropy = 0;
        int tokens = 0;
        for (int i = 0; i < batch.size(); i++) {
            for (int t = 0; t < j.advantages[i].length; t++) {
                double a = j.advantages[i][t];
                double ratio = Math.exp(now.logprobs[i][t] - batch.get(i).logprobs()[t]);
                double free = a * ratio;
                double held = a * Math.clamp(ratio, 1 - o.epsilon, 1 + o.epsilon);
                policy -= Math.min(free, held);
                clipped += held < free ? 1 : 0;
                double goal = j.returns[i][t];
                double near = old[i][t] + Math.clamp(now.values[i][t] - old[i][t], -o.epsilon_value, o.epsilon_value);
                double plain = Math.pow(now.values[i][t] - goal, 2);
                clippedValues += Math.pow(near - goal, 2) > plain + 1e-3 ? 1 : 0;
                value += Math.max(plain, Math.pow(near - goal, 2)) / 2;
                entropy += now.entropies[i][t];
                tokens++;
            }
        }
        return new Told((policy + o.value_coef * value) / tokens, value / tokens, clipped / tokens, entropy / tokens,
                beta, j.divergence, reward);
    }

    /// The loss of some rows of the first batch at the weights that drew it.
    double unmoved(List<Row.Rollout> batch, List<Integer> rows) throws IOException {
        Known k = known(0, batch);
        Judged j = judge(batch, k, k.values, o.beta);
        double sum = 0;
        int tokens = 0;
        for (int i : rows) {
            for (int t = 0; t < j.advantages[i].length; t++) {
                double off = k.values[i][t] - j.returns[i][t];
                sum += -j.advantages[i][t] + o.value_coef * off * off / 2;
                tokens++;
            }
        }
        return sum / Math.max(1, tokens);
    }
}
