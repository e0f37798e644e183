package dev.deckle.explain.story;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Shard;
import dev.deckle.distributed.ThreadRanks;
import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Verb;
import dev.deckle.explain.Explanation;
import dev.deckle.explain.Options;
import dev.deckle.explain.Part;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.nn.Init;
import dev.deckle.nn.Weights;
import dev.deckle.optim.AdamW;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Functional;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Gathered;
import dev.deckle.zero.Partition;
import dev.deckle.zero.Stage;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;

/// Training divided among ranks: four threads, a network of 100 parameters, one step in each of ZeRO's stages.
final class ZeroStories {
    private static final int RANKS = 4;
    private static final int ROWS = 8;
    private static final List<String> NAMES = List.of("layers.0.weight", "layers.1.weight");
    private static final double RATE = 0.1;

    /// The number that is followed, of those of the first layer.
    static final int FOLLOWED = 37;

    private ZeroStories() {}

    static List<Part> parts() {
        return List.of(new Part("zero", "many ranks", "one step of 100 parameters on four ranks, in stages 0 to 3",
                Partition.class, Set.of("seed"), ZeroStories::zero));
    }

    /// The first layer (10, 6) and the second (4, 10), inputs (8, 6) and targets (8, 4): rank r has rows 2r and 2r + 1.
    private record Problem(Tensor first, Tensor second, Tensor x, Tensor t) {
        static Problem of(long seed) {
            Generator random = new Generator(seed);
            return new Problem(Small.numbers(random, 10, 6), Small.numbers(random, 4, 10),
                    Small.numbers(random, ROWS, 6), Small.numbers(random, ROWS, 4));
        }
    }

    /// What one rank saw.
    ///
    /// @param initial what it held before the step
    /// @param events its collectives, in order
    /// @param weights all 100 parameters afterwards
    /// @param m of the followed parameter, as v
    record Run(Partition.Memory initial, List<WatchedCommunicator.Event> events, double[] weights, double m,
            double v) {}

    /// One step on so many ranks.
    private static Run[] run(Problem p, Stage stage, int ranks) {
        Run[] runs = new Run[ranks];
        ThreadRanks.run(ranks, communicator -> runs[communicator.rank()] = step(p, stage, communicator));
        return runs;
    }

    private static Run step(Problem p, Stage stage, Communicator communicator) {
        int ranks = communicator.worldSize();
        int rows = ROWS / ranks;
        int from = rows * communicator.rank();
        try (Partition partition = new Partition(communicator.rank(), ranks, new Partition.Options(stage, DType.F32));
                ModelMemory memory = new ModelMemory()) {
            Weights w = Weights.loadTrainable(memory, Map.of(NAMES.get(0), p.first, NAMES.get(1), p.second), partition);
            Tensor first = w.get(NAMES.get(0), Init.zeros(), 10, 6);
            Tensor second = w.get(NAMES.get(1), Init.zeros(), 4, 10);
            w.finish();
            var watched = new WatchedCommunicator(communicator, partition::memoryNow);
            partition.connect(watched, Timeline.off());
            try (AdamW optimizer = partition.optimizer(new AdamW.Options(0.9, 0.999, 1e-8, 0));
                    Workspace _ = Workspace.open()) {
                Partition.Memory initial = partition.memory();
                Tensor x = p.x.slice(0, from, from + rows).contiguous();
                Tensor t = p.t.slice(0, from, from + rows).contiguous();
                watched.enter(WatchedCommunicator.Moment.FORWARD);
                partition.differentiate(() -> {
                    Tensor h = Functional.linear(x, first, Optional.empty()).tanh(); // (rows, 10)
                    Tensor loss = Functional.linear(h, second, Optional.empty()).sub(t).square().sum();
                    watched.enter(WatchedCommunicator.Moment.BACKWARD);
                    return loss;
                }, Tensor.full(DType.F32, 1.0 / ROWS), true);
                optimizer.step(RATE, 1);
                watched.enter(WatchedCommunicator.Moment.UPDATED);
                partition.updated();
                var events = watched.events();
                return after(partition, initial, events);
            }
        }
    }

    private static Run after(Partition partition, Partition.Memory initial, List<WatchedCommunicator.Event> events) {
        try (Gathered all = partition.gathered()) {
            double[] first = all.of(NAMES.get(0)).toDoubles();
            double m = all.of(NAMES.get(0) + ".m").toDoubles()[FOLLOWED];
            double v = all.of(NAMES.get(0) + ".v").toDoubles()[FOLLOWED];
            double[] second = all.of(NAMES.get(1)).toDoubles();
            double[] weights = Arrays.copyOf(first, first.length + second.length);
            System.arraycopy(second, 0, weights, first.length, second.length);
            return new Run(initial, List.copyOf(events), weights, m, v);
        }
    }

    // ---- the story

    private static Explanation zero(Options options) {
        Problem p = Problem.of(options.seed());
        Story story = new Story("zero", "ZeRO, stages 0 to 3",
                "Ranks that train together all hold the same parameters, gradients and moments. ZeRO lets each keep a "
                        + "part, and sends the rest when it is needed: first the optimizer's state (1), then "
                        + "gradients too (2), then parameters too (3). The result stays the same.");
        story.axes("out in", "W0", "W1").axes("example number", "x", "t");
        story.given("A network of 60 + 40 parameters, tanh(x W0ᵀ) W1ᵀ; eight examples, two for each of four ranks; the "
                + "loss is the mean over them of Σ (y - t)²", "W0", p.first, "W1", p.second, "x", p.x, "t", p.t);
        owners(story);
        notebook(story, p);
        Run[][] stages = new Run[Stage.values().length][];
        for (Stage stage : Stage.values()) {
            stages[stage.ordinal()] = run(p, stage, RANKS);
            tell(story, stage, stages[stage.ordinal()], p.first.toDoubles()[FOLLOWED]);
        }
        return end(story, p, stages);
    }

    private static void owners(Story story) {
        story.axes("rank", "W0 from", "W0 to", "W1 from", "W1 to");
        story.step("Which rank owns which numbers", "cuts at multiples of 16, as even as that can be",
                "Uneven, and rank 0 owns nothing of W1: 40 numbers are three lines of 16. W0[6][1] is number "
                        + FOLLOWED + " of W0, so it is rank 2's; it is followed below as w.",
                "W0 from", ranks(r -> Shard.of(60, r, RANKS).from()), "W0 to", ranks(r -> Shard.of(60, r, RANKS).to()),
                "W1 from", ranks(r -> Shard.of(40, r, RANKS).from()), "W1 to", ranks(r -> Shard.of(40, r, RANKS).to()));
    }

    /// The cell that this comes from ends in an error: the same happens here.
    private static void notebook(Story story, Problem p) {
        Tensor loss = p.x.mean();
        story.step("Why the notebook's simulation ends in an error", "compute_loss(x, params): x.mean()",
                "Its loss does not contain the parameters, so nothing can flow back to them. Here: \"" + refused(loss)
                        + "\".",
                "loss", loss);
    }

    /// What a tensor without parameters behind it answers to backward().
    private static String refused(Tensor loss) {
        try {
            loss.backward();
        } catch (IllegalStateException e) {
            return e.getMessage();
        }
        throw new AssertionError("a loss without parameters has a gradient");
    }

    private static void tell(Story story, Stage stage, Run[] runs, double before) {
        String name = "Stage " + stage.ordinal();
        String[] vectors = {"parameters", "gradients", "optimizer", "gathered", "incoming", "sent", "g", "g after",
            "w before", "w"};
        story.axes("rank", vectors);
        story.step(name + ": bytes that each rank holds", switch (stage) {
            case REPLICATED -> "4 · 100, 4 · 100, 8 · 100: 16 Ψ";
            case OPTIMIZER -> "8 Ψ + 8 Ψ / N";
            case GRADIENTS -> "4 Ψ + 12 Ψ / N";
            case PARAMETERS -> "16 Ψ / N";
        }, switch (stage) {
            case REPLICATED -> "Everything, on every rank. The optimizer's are m and v.";
            case OPTIMIZER -> "m and v of a rank's own numbers only.";
            case GRADIENTS -> "Gradients are whole for a layer at a time, while they come in.";
            case PARAMETERS -> "Parameters are whole for a layer at a time, while it is computed.";
        }, "parameters", by(runs, r -> r.initial.parameters()), "gradients", by(runs, r -> r.initial.gradients()),
                "optimizer", by(runs, r -> r.initial.optimizer()));
        boolean updated = false;
        for (int i = 0; i < runs[0].events.size(); i++) {
            if (runs[0].events.get(i).moment() == WatchedCommunicator.Moment.UPDATED && !updated) {
                update(story, name, stage, runs, before);
                updated = true;
            }
            event(story, name, stage, runs, i);
        }
        if (!updated) {
            update(story, name, stage, runs, before);
        }
    }

    /// A collective, with what each rank holds for it, sends, and has of the number that is followed.
    private static void event(Story story, String name, Stage stage, Run[] runs, int i) {
        WatchedCommunicator.Event e = runs[0].events.get(i);
        Function<ToDoubleFunction<WatchedCommunicator.Event>, double[]> each =
                f -> Arrays.stream(runs).mapToDouble(r -> f.applyAsDouble(r.events.get(i))).toArray();
        boolean first = e.numel() == 60;
        String title = name + ", " + e.moment().words() + ": " + e.verb().label() + " of " + e.numel() + " elements, W"
                + (first ? 0 : 1);
        double[] sent = each.apply(x -> x.sent());
        switch (e.verb()) {
            case ALL_REDUCE, REDUCE_SCATTER -> {
                boolean whole = e.verb() == Verb.ALL_REDUCE;
                String formula = whole ? "every rank: g = ((g0 + g1) + g2) + g3" : "the owner: ((g0 + g1) + g2) + g3";
                String note = whole ? "Counts as 2 · " + e.numel() + ": a reduce_scatter and an all_gather."
                        : "What is not a rank's own is forgotten.";
                double[] incoming = each.apply(x -> x.held().incoming());
                if (first) {
                    story.step(title, formula, note, with(stage, incoming, "incoming", "sent", sent, "g",
                            each.apply(WatchedCommunicator.Event::before), "g after",
                            each.apply(WatchedCommunicator.Event::after)));
                } else {
                    story.step(title, formula, note, with(stage, incoming, "incoming", "sent", sent));
                }
            }
            case ALL_GATHER -> {
                if (stage == Stage.PARAMETERS) {
                    double[] gathered = each.apply(x -> x.held().gathered());
                    String note = !first ? "W0 was let go. W1, the last layer, stays for the backward pass."
                            : e.moment() == WatchedCommunicator.Moment.BACKWARD
                                    ? "It was let go, so it is gathered again; W1 was still here."
                                    : "From the second step on the next layer comes while one is computed.";
                    if (first) {
                        story.step(title, "each rank gives its shard", note, "gathered", gathered, "sent", sent, "w",
                                each.apply(WatchedCommunicator.Event::after));
                    } else {
                        story.step(title, "each rank gives its shard", note, "gathered", gathered, "sent", sent);
                    }
                } else if (first) {
                    story.step(title, "each rank gives what it has updated", "", "sent", sent, "w before",
                            each.apply(WatchedCommunicator.Event::before), "w",
                            each.apply(WatchedCommunicator.Event::after));
                } else {
                    story.step(title, "each rank gives what it has updated", "", "sent", sent);
                }
            }
            case BROADCAST, BARRIER -> throw new IllegalStateException("a step has no " + e.verb().label());
        }
    }

    /// The vector only where the stage has it.
    private static Object[] with(Stage stage, double[] vector, String name, Object... others) {
        if (stage.ordinal() < Stage.GRADIENTS.ordinal()) {
            return others;
        }
        Object[] all = new Object[others.length + 2];
        all[0] = name;
        all[1] = vector;
        System.arraycopy(others, 0, all, 2, others.length);
        return all;
    }

    private static void update(Story story, String name, Stage stage, Run[] runs, double before) {
        int owner = owner();
        double g = runs[owner].events.stream()
                .filter(e -> e.numel() == 60 && e.moment() == WatchedCommunicator.Moment.BACKWARD
                        && e.verb() != Verb.ALL_GATHER)
                .findFirst().orElseThrow().after();
        story.step(name + ": the update of w" + (stage == Stage.REPLICATED ? ", on every rank" : ", on rank " + owner),
                "m = 0.1 g; v = 0.001 g²; w = w - 0.1 m̂ / (√v̂ + ε)",
                stage == Stage.PARAMETERS ? "The step ends here: parameters are gathered when they are needed." : "",
                "g", (float) g, "m", (float) runs[owner].m, "v", (float) runs[owner].v, "w before", (float) before, "w",
                (float) runs[owner].weights[FOLLOWED]);
    }

    private static int owner() {
        return IntStream.range(0, RANKS)
                .filter(r -> FOLLOWED >= Shard.of(60, r, RANKS).from() && FOLLOWED < Shard.of(60, r, RANKS).to())
                .findFirst().orElseThrow();
    }

    private static Explanation end(Story story, Problem p, Run[][] stages) {
        double[] alone = run(p, Stage.REPLICATED, 1)[0].weights;
        double[] difference = new double[stages.length];
        double rounding = 0;
        for (int s = 0; s < stages.length; s++) {
            for (Run r : stages[s]) {
                difference[s] = Math.max(difference[s], furthest(r.weights, stages[0][0].weights));
                rounding = Math.max(rounding, furthest(r.weights, alone));
            }
        }
        story.axes("stage", "difference", "bytes a rank", "elements");
        story.result("The same 100 parameters, whatever the stage", "largest difference to stage 0 on any rank",
                "To the bit: a sum over ranks is made in the order of ranks. One rank alone adds up the examples in "
                        + "another order, and agrees to rounding (here " + (float) rounding + ").",
                "difference", difference,
                "bytes a rank", IntStream.range(0, stages.length).mapToDouble(s -> Arrays.stream(stages[s])
                        .mapToDouble(r -> r.initial.total()).max().orElseThrow()).toArray(),
                "elements", IntStream.range(0, stages.length).mapToDouble(s -> stages[s][0].events.stream()
                        .mapToLong(WatchedCommunicator.Event::elements).sum()).toArray());
        var sent = Arrays.stream(stages[Stage.OPTIMIZER.ordinal()])
                .map(r -> r.events.stream().filter(e -> e.numel() == 60
                        && e.verb() == Verb.ALL_GATHER).findFirst().orElseThrow())
                .toList();
        return story.mistake("A shard that is updated and not sent", "stage 1 without its last all_gather: w by rank",
                "From then on every rank computes with other parameters. (The notebook's all_gather repeats a rank's "
                        + "own shard four times, and its partition drops what four does not divide.)",
                "wrong", sent.stream().mapToDouble(WatchedCommunicator.Event::before).toArray(), "right",
                sent.stream().mapToDouble(WatchedCommunicator.Event::after).toArray()).tell();
    }

    private static double furthest(double[] a, double[] b) {
        return IntStream.range(0, a.length).mapToDouble(i -> Math.abs(a[i] - b[i])).max().orElse(0);
    }

    private static double[] ranks(ToLongFunction<Integer> of) {
        return IntStream.range(0, RANKS).mapToDouble(r -> of.applyAsLong(r)).toArray();
    }

    private static double[] by(Run[] runs, ToLongFunction<Run> of) {
        return Arrays.stream(runs).mapToDouble(of::applyAsLong).toArray();
    }
}
