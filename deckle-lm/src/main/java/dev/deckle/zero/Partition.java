package dev.deckle.zero;

import dev.deckle.autograd.NoGrad;
import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.SoloCommunicator;
import dev.deckle.distributed.Timeline;
import dev.deckle.distributed.Work;
import dev.deckle.memory.Storage;
import dev.deckle.nn.ParameterHome;
import dev.deckle.optim.AdamW;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Op;
import dev.deckle.tensor.OpObserver;
import dev.deckle.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.Supplier;

/// The parameters of a model, its gradients and the optimizer's state, divided among ranks: ZeRO.
///
/// A model that is made with a Partition as its [ParameterHome] computes as any other. The Partition sees each
/// operation before it runs ([OpObserver]); where that reads parameters of a layer which are not here, it brings them:
/// by the order in which layers followed each other the last time it knows the next one, and begins to gather that
/// meanwhile. As the backward pass leaves a layer, the gradients of that layer begin to be summed over the ranks.
///
/// - **Formula**: with Ψ parameters on N ranks, bytes a rank in mixed precision: 16 Ψ, 4 Ψ + 12 Ψ / N,
///   2 Ψ + 14 Ψ / N, 16 Ψ / N for stages 0 to 3 (2 for a BF16 weight, 2 for its gradient, 12 for master, m and v);
///   in F32 16 Ψ, 8 Ψ + 8 Ψ / N, 4 Ψ + 12 Ψ / N, 16 Ψ / N
/// - **Shapes**: any; each layer's parameters lie one after another in flat memory, each at a multiple of 16 elements,
///   and that memory is cut at multiples of 16: shards are uneven, and with few elements some are empty
/// - **Cost**: elements a rank sends and receives in a step: 2 Ψ in stages 0 to 2 and 3 Ψ in stage 3, of which it saves
///   what is not used twice (an embedding's values are not read backward)
/// - **Source**: Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models"
/// - **PyTorch**: `ZeroRedundancyOptimizer` for stage 1, `FullyShardedDataParallel` for stage 3; DeepSpeed's
///   `zero_optimization.stage`
/// - **Classic mistake**: a rank that updates its shard and forgets to send it; gradients averaged twice
///
/// **Order.** A sum over ranks is made in the order of ranks, so at the same rank count the stages give the same bits.
/// With several micro-batches a step, stages 0 and 1 sum each rank's micro-batches first and the ranks once a step,
/// stages 2 and 3 the ranks in each micro-batch: these two pairs agree with each other to rounding.
///
/// Every rank must make the same calls in the same order. Not for several threads: one rank is one thread.
public final class Partition implements ParameterHome, OpObserver, AutoCloseable {
    /// How a model is divided.
    ///
    /// @param dtype of matrices: F32, or BF16 with F32 masters; vectors are F32
    /// @param frozen parameters that do not learn, by name
    /// @param offload a folder for files that hold the optimizer's state in place of memory
    public record Options(Stage stage, DType dtype, Predicate<String> frozen, Optional<Path> offload) {
        public Options(Stage stage, DType dtype) {
            this(stage, dtype, _ -> false, Optional.empty());
        }
    }

    private enum Phase {
        EVALUATE,
        FORWARD,
        BACKWARD
    }

    /// A part of the state of one parameter.
    record Piece(Unit unit, Region region, Region.Slot slot, Region.Kind kind) {}

    /// A place in the order in which units are used: which one is being used in which phase, and the one before it.
    private record Place(Phase phase, int before, int unit) {}

    private static final int NONE = -1;

    private final Options options;
    private final Setting setting;
    private final List<Unit> units = new ArrayList<>();
    private final UnitNames names = new UnitNames();
    private final Map<Storage, Unit> unitOf = new IdentityHashMap<>();
    private final Map<Place, Integer> followers = new HashMap<>();
    private final Deque<Unit> summing = new ArrayDeque<>();
    private final Map<String, Piece> weights = new LinkedHashMap<>();
    private final Map<String, Piece> optimizerState = new LinkedHashMap<>();
    private Optional<Communicator> connected = Optional.empty();
    private Timeline timeline = Timeline.off();
    private Phase phase = Phase.EVALUATE;
    private int before = NONE;
    private int unit = NONE;
    private int unsummed; // units below this one still gather gradients of this pass
    private boolean lastMicroBatch;

    /// Nothing yet: a model that is made with it brings the parameters.
    ///
    /// @param rank this one
    /// @param ranks how many there are
    public Partition(int rank, int ranks, Options options) {
        this.options = options;
        setting = new Setting(options.stage, rank, ranks, StateMemory.inMemory(), StateMemory.inMemory(),
                options.offload.<StateMemory>map(f -> Offload.open(f, rank)).orElseGet(StateMemory::inMemory),
                new Buffers(), new Buffers());
        if (ranks == 1) {
            connect(new SoloCommunicator(), Timeline.off());
        }
    }

    public Stage stage() {
        return options.stage;
    }

    /// What it talks to the others with: to be given before anything is computed.
    public void connect(Communicator communicator, Timeline timeline) {
        if (communicator.rank() != setting.rank() || communicator.worldSize() != setting.ranks()) {
            throw new IllegalArgumentException("a communicator of rank " + setting.rank() + " of " + setting.ranks()
                    + " is needed, not of " + communicator.rank() + " of " + communicator.worldSize());
        }
        connected = Optional.of(communicator);
        this.timeline = timeline;
    }

    private Communicator communicator() {
        return connected.orElseThrow(() -> new IllegalStateException("connect() comes first"));
    }

    // ---- being a home

    @Override
    public Tensor adopt(String name, Tensor values, boolean matrix) {
        if (names.begins(name)) {
            if (!units.isEmpty()) {
                units.getLast().seal();
            }
            units.add(new Unit(names.unit(), units.size(), setting));
        }
        DType dtype = matrix ? options.dtype : DType.F32;
        Tensor parameter = units.getLast().add(name, values, dtype, !options.frozen.test(name));
        unitOf.put(parameter.storage(), units.getLast());
        return parameter;
    }

    @Override
    public void finished() {
        units.getLast().seal();
        for (Unit u : units) {
            for (Region r : u.regions()) {
                for (Region.Slot slot : r.slots()) {
                    for (Region.Kind kind : Region.Kind.values()) {
                        if (r.has(kind)) {
                            (kind == Region.Kind.VALUES ? weights : optimizerState)
                                    .put(slot.name() + kind.suffix(), new Piece(u, r, slot, kind));
                        }
                    }
                }
            }
        }
    }

    // ---- computing

    /// Runs what reads parameters and gathers no gradients.
    public <R> R evaluate(Supplier<R> work) {
        return during(Phase.EVALUATE, () -> {
            try (NoGrad _ = NoGrad.open()) {
                return work.get();
            }
        });
    }

    /// One micro-batch: the loss, and the gradients of `cotangent` times it, which are added to those of the step's
    /// earlier micro-batches.
    ///
    /// @param last of the step: its gradients are then summed over the ranks, if that was not done before
    /// @return the loss's value on this rank
    public double differentiate(Supplier<Tensor> loss, Tensor cotangent, boolean last) {
        lastMicroBatch = last;
        return during(Phase.FORWARD, () -> {
            Tensor y;
            try (var _ = timeline.open(Timeline.COMPUTE, "forward", 0)) {
                y = loss.get();
            }
            try (var _ = timeline.open(Timeline.COMPUTE, "backward", 0)) {
                turn();
                y.backward(cotangent);
                sumDownTo(0);
                keepSums(0);
            }
            return y.item();
        });
    }

    private <R> R during(Phase p, Supplier<R> work) {
        phase = p;
        before = NONE;
        unit = NONE;
        R result = OpObserver.during(this, work);
        for (Unit u : units) {
            if (u.gathered()) {
                u.letGo(this::await);
            }
        }
        return result;
    }

    private void turn() {
        phase = Phase.BACKWARD;
        unsummed = units.size();
        units.forEach(u -> u.regions().forEach(Region::expect));
        gatherNext();
    }

    @Override
    public void before(Op op) {
        if (phase == Phase.BACKWARD && op instanceof Op.Embedding) {
            return; // its gradient does not depend on its values
        }
        for (Tensor x : op.inputs()) {
            Unit u = unitOf.get(x.storage());
            if (u != null && u.index() != unit) {
                use(u);
            }
        }
    }

    @Override
    public void computed(Op op, Tensor result) {
        // nothing is read twice
    }

    @Override
    public boolean keepsResults() {
        return false;
    }

    private void use(Unit u) {
        if (unit != NONE) {
            followers.put(new Place(phase, before, unit), u.index());
            if (phase == Phase.BACKWARD && u.index() < unit) {
                sumDownTo(unit);
            }
        }
        before = unit;
        unit = u.index();
        if (options.stage.divides(Stage.PARAMETERS)) {
            int next = next();
            for (Unit other : units) { // first, so that no more than two are here at once
                if (other.gathered() && other != u && other.index() != next) {
                    other.letGo(this::await);
                }
            }
            if (!u.gathered()) {
                u.gather(communicator());
            }
            gatherNext();
        }
        u.await(this::await);
    }

    /// The unit that followed the last time.
    private int next() {
        return followers.getOrDefault(new Place(phase, before, unit), NONE);
    }

    /// Begins to gather it.
    private void gatherNext() {
        int next = next();
        if (next != NONE && options.stage.divides(Stage.PARAMETERS) && !units.get(next).gathered()) {
            units.get(next).gather(communicator());
        }
    }

    private void await(Work work) {
        if (work.isDone()) {
            work.await();
            return;
        }
        try (var _ = timeline.waiting("wait")) {
            work.await();
        }
    }

    // ---- gradients

    /// The gradients of the units from `to` on are complete.
    private void sumDownTo(int to) {
        if (!lastMicroBatch && !options.stage.divides(Stage.GRADIENTS)) {
            return; // they stay whole until the step's last
        }
        while (unsummed > to) {
            Unit u = units.get(--unsummed);
            u.sum(communicator());
            summing.add(u);
            keepSums(1); // so that no more than two layers' gradients are whole at once
        }
    }

    private void keepSums(int leave) {
        while (summing.size() > leave) {
            summing.remove().keepSums(this::await);
        }
    }

    /// Numbers of this rank, each summed over all ranks.
    public double[] sum(double... values) {
        Tensor t = Tensor.of(values);
        await(communicator().allReduce(t));
        return t.toDoubles();
    }

    /// The sum of the squares of this rank's share of the gradient; over all ranks, the square of its norm.
    public double gradSquares() {
        List<AdamW.Slot> slots = new ArrayList<>();
        units.forEach(u -> u.regions().forEach(r -> r.share(slots::add)));
        return AdamW.gradSquares(slots);
    }

    // ---- the optimizer

    /// An optimizer for what this rank updates; matrices decay, vectors do not.
    public AdamW optimizer(AdamW.Options o) {
        List<AdamW.Slot> slots = new ArrayList<>();
        units.forEach(u -> u.regions().forEach(r -> r.updated(slots::add)));
        return new AdamW(slots, o);
    }

    /// To be called after the optimizer's step: begins to send what this rank has updated to the others.
    public void updated() {
        units.forEach(u -> u.regions().forEach(Region::forget));
        if (options.stage.divides(Stage.OPTIMIZER) && !options.stage.divides(Stage.PARAMETERS)) {
            units.forEach(u -> u.spread(communicator()));
        }
    }

    // ---- checkpoints

    /// The names of all parameters, in the order of units.
    public Set<String> weights() {
        return Collections.unmodifiableSet(weights.keySet());
    }

    /// Whether a parameter has a gradient and is updated.
    public boolean learns(String name) {
        return weights.get(name).region.learns();
    }

    /// The names of the optimizer's state: a parameter's followed by `.m`, `.v`, and `.master` where it is BF16.
    public Set<String> optimizerState() {
        return Collections.unmodifiableSet(optimizerState.keySet());
    }

    /// The name of what a parameter is rounded from, where it is BF16 and learns; else its own.
    public String master(String name) {
        String master = name + Region.Kind.MASTER.suffix();
        return optimizerState.containsKey(master) ? master : name;
    }

    /// To read parameters and state whole, whatever each rank keeps of them.
    public Gathered gathered() {
        units.forEach(u -> u.await(this::await));
        Map<String, Piece> all = new HashMap<>(weights);
        all.putAll(optimizerState);
        return new Gathered(all, communicator());
    }

    /// Takes this rank's part of a checkpoint's optimizer state.
    ///
    /// @param saved by the names of [#optimizerState()]
    /// @throws IllegalArgumentException naming what is missing or of another shape
    public void restore(Map<String, Tensor> saved) {
        optimizerState.forEach((name, p) -> restore(name, p, saved.get(name), DType.F32));
    }

    /// Takes this rank's part of some weights of a checkpoint.
    public void restore(List<String> names, Map<String, Tensor> saved) {
        names.forEach(n -> restore(n, weights.get(n), saved.get(n), weights.get(n).region.dtype()));
    }

    private static void restore(String name, Piece p, Tensor saved, DType dtype) {
        var shape = p.slot.parameter().shape();
        if (saved == null || !saved.shape().equals(shape) || saved.dtype() != dtype) {
            throw new IllegalArgumentException(name + " is "
                    + (saved == null ? "missing" : saved.dtype() + " " + saved.shape()) + ", expected " + dtype + " "
                    + shape);
        }
        p.region.restore(p.kind, p.slot, saved);
    }

    // ---- what it costs

    /// What this rank keeps of the weights, by their names.
    public Map<String, Tensor> keptWeights() {
        Map<String, Tensor> kept = new LinkedHashMap<>();
        weights.forEach((name, p) -> p.region.keptValues(p.slot).ifPresent(t -> kept.put(name, t)));
        return kept;
    }

    /// This rank's share of the gradients of the parameters that learn, by their names.
    public Map<String, Tensor> keptGradients() {
        Map<String, Tensor> kept = new LinkedHashMap<>();
        weights.forEach((name, p) -> {
            if (p.region.learns()) {
                p.region.keptGradient(p.slot).ifPresent(t -> kept.put(name, t));
            }
        });
        return kept;
    }

    /// Bytes that a rank holds.
    ///
    /// @param gathered the most that layers' parameters took at once, in stage 3
    /// @param incoming the most that layers' gradients took at once before they were summed, in stages 2 and 3
    public record Memory(long parameters, long gradients, long optimizer, long gathered, long incoming) {
        public long total() {
            return parameters + gradients + optimizer + gathered + incoming;
        }
    }

    /// What it keeps, and the most that was here for a moment so far.
    public Memory memory() {
        return new Memory(setting.parameters().bytes(), setting.gradients().bytes(), setting.optimizer().bytes(),
                setting.gathered().mostHeld(), setting.incoming().mostHeld());
    }

    /// The same with what is here for a moment now.
    public Memory memoryNow() {
        return new Memory(setting.parameters().bytes(), setting.gradients().bytes(), setting.optimizer().bytes(),
                setting.gathered().used(), setting.incoming().used());
    }

    @Override
    public void close() {
        setting.parameters().close();
        setting.gradients().close();
        setting.optimizer().close();
        setting.gathered().close();
        setting.incoming().close();
    }
}
