package dev.deckle.zero;

import dev.deckle.autograd.Leaf;
import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Shard;
import dev.deckle.distributed.Work;
import dev.deckle.kernel.Native;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.MovableMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.optim.AdamW;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;

/// Parameters of one type that are needed together, one after another in flat memory, so that one collective moves them
/// all. Each rank owns a [Shard] of that memory, wherever in a parameter it begins and ends.
///
/// What a rank keeps, by [Stage]:
///
/// | | REPLICATED | OPTIMIZER | GRADIENTS | PARAMETERS |
/// |---|---|---|---|---|
/// | values | whole | whole | whole | shard |
/// | gradient | whole | whole | shard | shard |
/// | master (of BF16 values), m, v | whole | shard | shard | shard |
///
/// What it keeps only a shard of is whole for a moment, in a buffer: values while their layer is computed, gradients
/// while they come in.
final class Region {
    /// Parameters begin at multiples of so many elements: 64 bytes of F32, a cache line and a vector register.
    private static final long ALIGNMENT = 16;

    /// A part of the state.
    enum Kind {
        VALUES,
        MASTER,
        M,
        V;

        /// What follows the parameter's name in a checkpoint.
        String suffix() {
            return this == VALUES ? "" : "." + name().toLowerCase(Locale.ROOT);
        }
    }

    /// A parameter and its place.
    record Slot(String name, Tensor parameter, Shard range) {}

    private final String unit;
    private final DType dtype;
    private final boolean learns;
    private final Setting setting;
    private final List<Slot> slots = new ArrayList<>();
    private final MovableMemory home; // what the layers' tensors are views of
    private final ModelMemory staging = new ModelMemory(); // first values, until seal()
    private final List<Tensor> firstValues = new ArrayList<>();
    private Shard all;
    private Shard shard;
    private Flat values;
    private Flat gradient; // null unless it learns, as the next three
    private Flat master; // F32; the values themselves where these are F32
    private Flat m;
    private Flat v;
    private boolean accumulating; // `gradient` holds the sum of earlier micro-batches of this step
    private boolean summed; // over the ranks: no gradient may come until the next pass
    private Optional<Buffers.Buffer> gathered = Optional.empty();
    private Optional<Buffers.Buffer> incoming = Optional.empty();

    /// @param unit the layer's name, for messages
    Region(String unit, DType dtype, boolean learns, Setting setting) {
        this.unit = unit;
        this.dtype = dtype;
        this.learns = learns;
        this.setting = setting;
        home = new MovableMemory("the memory of " + unit);
    }

    DType dtype() {
        return dtype;
    }

    boolean learns() {
        return learns;
    }

    List<Slot> slots() {
        return slots;
    }

    /// Numbers in it, the gaps between parameters included.
    long numel() {
        return all.size();
    }

    /// Where the next parameter begins, when the one before it ends at `end`.
    static long after(long end) {
        return (end + ALIGNMENT - 1) & -ALIGNMENT;
    }

    /// One more parameter: a tensor on this region's memory, which is there from [#seal()] on.
    Tensor add(String name, Tensor initialValues) {
        long from = slots.isEmpty() ? 0 : after(slots.getLast().range.to());
        Shard range = new Shard(from, from + initialValues.numel());
        Tensor parameter = Tensor.on(home.part(from * dtype.bytes(), range.size() * dtype.bytes()), 0, dtype,
                initialValues.shape());
        if (learns) {
            parameter.requireGrad(new Leaf(parameter, () -> whole().part(range, parameter.shape())));
        }
        slots.add(new Slot(name, parameter, range));
        firstValues.add(initialValues.copyInto(Tensor.empty(staging, DType.F32, initialValues.shape())));
        return parameter;
    }

    /// All parameters are known: keeps what this rank is to keep of their first values, and makes the rest of its
    /// state.
    void seal() {
        all = new Shard(0, slots.getLast().range.to());
        shard = Shard.of(all.size(), setting.rank(), setting.ranks());
        values = flat(setting.parameters(), dtype, kept(Stage.PARAMETERS));
        fill(values);
        if (!setting.stage().divides(Stage.PARAMETERS)) {
            home.placeAt(values.tensor().address());
        }
        if (learns) {
            Shard updated = kept(Stage.OPTIMIZER);
            gradient = flat(setting.gradients(), dtype, kept(Stage.GRADIENTS));
            master = dtype == DType.F32 ? values : flat(setting.optimizer(), DType.F32, updated);
            if (master != values) {
                fill(master);
            }
            m = flat(setting.optimizer(), DType.F32, updated);
            v = flat(setting.optimizer(), DType.F32, updated);
        }
        firstValues.clear();
        staging.close();
    }

    /// What this rank keeps of something that `divided` divides.
    private Shard kept(Stage divided) {
        return setting.stage().divides(divided) ? shard : all;
    }

    private static Flat flat(StateMemory memory, DType dtype, Shard range) {
        return new Flat(memory.allocate(dtype, range.size()), range);
    }

    private void fill(Flat flat) {
        for (int i = 0; i < slots.size(); i++) {
            write(flat, slots.get(i), firstValues.get(i));
        }
    }

    /// Writes what `flat` holds of a parameter.
    private static void write(Flat flat, Slot slot, Tensor whole) {
        Shard own = Flat.common(slot.range, flat.range());
        if (own.size() > 0) {
            int from = (int) (own.from() - slot.range.from());
            whole.reshape(-1).slice(0, from, from + (int) own.size()).copyInto(flat.part(own));
        }
    }

    // ---- values

    /// Begins to bring all of it here.
    Work gather(Communicator communicator) {
        Buffers.Buffer b = setting.gathered().take(all.size() * dtype.bytes());
        gathered = Optional.of(b);
        return communicator.allGather(around(b, values).tensor());
    }

    /// A buffer for all numbers, with this rank's shard of them in its place.
    private Flat around(Buffers.Buffer b, Flat own) {
        Flat whole = new Flat(b.as(own.tensor().dtype(), all.size()), all);
        Native.copy(own.tensor().address(), whole.part(shard).address(), own.tensor().bytes());
        return whole;
    }

    /// What was gathered can be read.
    void arrived() {
        home.placeAt(gathered.orElseThrow().address());
    }

    /// Gives the memory of what was gathered back.
    void letGo() {
        home.remove();
        setting.gathered().give(gathered.orElseThrow());
        gathered = Optional.empty();
    }

    /// Begins to give every rank the shards that the others have updated.
    Work spread(Communicator communicator) {
        return communicator.allGather(values.tensor());
    }

    // ---- gradients

    /// Where gradients come in.
    private Flat whole() {
        if (summed) {
            throw new IllegalStateException("a gradient came to " + unit + " after its gradients were summed over the "
                    + "ranks: the model does not use its layers in the order in which it lists them, so it cannot be "
                    + "divided");
        }
        if (!setting.stage().divides(Stage.GRADIENTS)) {
            return gradient;
        }
        if (incoming.isEmpty()) {
            incoming = Optional.of(setting.incoming().take(all.size() * dtype.bytes()));
        }
        return new Flat(incoming.get().as(dtype, all.size()), all);
    }

    /// A backward pass begins.
    void expect() {
        summed = false;
    }

    /// All gradients of the pass have come: begins to sum them over the ranks.
    Work sum(Communicator communicator) {
        Flat whole = whole();
        for (Slot s : slots) {
            Leaf leaf = s.parameter.leaf().orElseThrow();
            if (leaf.isEmpty()) { // as of experts that no token chose
                Tensor g = whole.part(s.range);
                Native.zero(g.address(), g.bytes());
            }
            leaf.detach();
        }
        summed = true;
        return setting.stage().divides(Stage.OPTIMIZER)
                ? communicator.reduceScatter(whole.tensor())
                : communicator.allReduce(whole.tensor());
    }

    /// The sum is here: this rank's shard of it is added to the step's earlier micro-batches.
    void keepSum() {
        incoming.ifPresent(b -> {
            Tensor sum = new Flat(b.as(dtype, all.size()), all).part(shard);
            Tensor kept = gradient.tensor();
            if (accumulating) {
                try (Workspace _ = Workspace.open()) {
                    kept.to(DType.F32).add(sum.to(DType.F32)).copyInto(kept);
                }
            } else {
                Native.copy(sum.address(), kept.address(), kept.bytes());
            }
            setting.incoming().give(b);
        });
        incoming = Optional.empty();
        accumulating = true;
    }

    /// The optimizer has used them.
    void forget() {
        accumulating = false;
    }

    // ---- the optimizer's view

    /// What the optimizer updates on this rank.
    void updated(Consumer<AdamW.Slot> to) {
        within(kept(Stage.OPTIMIZER), to);
    }

    /// This rank's share, whatever the stage: the shares of all ranks are every number once.
    void share(Consumer<AdamW.Slot> to) {
        within(shard, to);
    }

    private void within(Shard range, Consumer<AdamW.Slot> to) {
        for (Slot s : slots) {
            Shard r = Flat.common(s.range, range);
            if (learns && r.size() > 0) {
                Tensor g = gradient.part(r);
                to.accept(new AdamW.Slot(master.part(r), () -> Optional.of(g), m.part(r), v.part(r),
                        master == values ? Optional.empty() : Optional.of(values.part(r)),
                        AdamW.isMatrix(s.parameter)));
            }
        }
    }

    // ---- checkpoints

    /// Whether it has that part of the state.
    boolean has(Kind kind) {
        return kind == Kind.VALUES || learns && (kind != Kind.MASTER || master != values);
    }

    private Flat state(Kind kind) {
        return switch (kind) {
            case VALUES -> values;
            case MASTER -> master;
            case M -> m;
            case V -> v;
        };
    }

    /// All of a part of the state, gathered into a buffer where it is divided. Every rank calls it.
    Flat whole(Kind kind, Communicator communicator, Buffers buffers, Consumer<Buffers.Buffer> taken) {
        Flat own = state(kind);
        Stage divided = kind == Kind.VALUES ? Stage.PARAMETERS : Stage.OPTIMIZER;
        // not by the range: the only shard that is not empty is everything, and its rank must go on with the others
        if (setting.ranks() == 1 || !setting.stage().divides(divided)) {
            return own;
        }
        Buffers.Buffer b = buffers.take(all.size() * own.tensor().dtype().bytes());
        taken.accept(b);
        Flat whole = around(b, own);
        communicator.allGather(whole.tensor()).await();
        return whole;
    }

    /// What this rank keeps of a parameter's values, if anything.
    Optional<Tensor> keptValues(Slot slot) {
        return kept(values, Flat.common(slot.range, values.range()));
    }

    /// This rank's share of a parameter's gradient, if it has one.
    Optional<Tensor> keptGradient(Slot slot) {
        return kept(gradient, Flat.common(slot.range, shard));
    }

    private static Optional<Tensor> kept(Flat of, Shard range) {
        return range.size() == 0 ? Optional.empty() : Optional.of(of.part(range));
    }

    /// Takes what this rank keeps out of the whole of one parameter's state.
    void restore(Kind kind, Slot slot, Tensor whole) {
        write(state(kind), slot, whole);
    }
}
