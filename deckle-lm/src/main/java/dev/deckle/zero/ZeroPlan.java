package dev.deckle.zero;

import dev.deckle.distributed.Shard;
import dev.deckle.distributed.Traffic;
import dev.deckle.distributed.Verb;
import dev.deckle.tensor.DType;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;

/// What one of ZeRO's stages costs on any number of ranks, without running it: bytes that a rank holds, what it sends
/// in a step, and how long that takes. These are the numbers that [Partition#memory()] and the trainer's traffic have
/// after a run, to the byte.
///
/// Activations are not among them: they depend on the batch, and no stage divides them.
public final class ZeroPlan {
    /// Bytes of state on a rank by the paper's formulas; they know neither gaps nor what is whole for a moment.
    public record Paper(double parameters, double gradients, double optimizer) {
        public double total() {
            return parameters + gradients + optimizer;
        }
    }

    /// A region of a unit; most layers are alike.
    private record Region(DType dtype, long numel) {}

    private final ZeroLayout layout;
    private final Map<Region, Long> regions = new HashMap<>(); // and how many there are
    private final Stage stage;
    private final long gradAccum;
    private final Map<Collective, Long> collectives = new HashMap<>();
    private final long gathered;
    private final long incoming;

    /// @param gradAccum micro-batches in a step: stages 2 and 3 sum gradients in each of them, and 3 gathers in each
    public ZeroPlan(ZeroLayout layout, Stage stage, int gradAccum) {
        if (gradAccum < 1 || layout.units().size() < 2) {
            throw new IllegalArgumentException("a plan needs a micro-batch and a layer, not " + gradAccum + " and "
                    + layout.units().size());
        }
        this.layout = layout;
        layout.units().forEach(u -> u.forEach((t, n) -> regions.merge(new Region(t, n), 1L, Long::sum)));
        this.stage = stage;
        this.gradAccum = gradAccum;
        Rehearsal r = new Rehearsal(layout, stage);
        r.microBatch(false, gradAccum - 1L);
        r.microBatch(true, 1);
        r.updated();
        r.generate();
        collectives.putAll(r.sent());
        collectives.merge(new Collective(Verb.ALL_REDUCE, 2, DType.F64), 1L, Long::sum); // the loss and the norm
        gathered = r.mostGathered();
        incoming = r.mostIncoming();
    }

    public Stage stage() {
        return stage;
    }

    /// Bytes that a rank holds.
    public Partition.Memory memory(int rank, int ranks) {
        long values = 0;
        long gradients = 0;
        long optimizer = 0;
        for (var e : regions.entrySet()) {
            DType dtype = e.getKey().dtype;
            long all = e.getKey().numel * e.getValue();
            long shard = Shard.of(e.getKey().numel, rank, ranks).size() * e.getValue();
            values += (stage.divides(Stage.PARAMETERS) ? shard : all) * dtype.bytes();
            gradients += (stage.divides(Stage.GRADIENTS) ? shard : all) * dtype.bytes();
            optimizer += (stage.divides(Stage.OPTIMIZER) ? shard : all) * stateBytes(dtype);
        }
        return new Partition.Memory(values, gradients, optimizer, gathered, incoming);
    }

    /// Of the optimizer for a number: both moments, and the master of a BF16 value.
    private static int stateBytes(DType dtype) {
        return (dtype == DType.F32 ? 2 : 3) * DType.F32.bytes();
    }

    /// What the rank holds that holds most: shards are uneven.
    public Partition.Memory largest(int ranks) {
        return IntStream.range(0, ranks)
                .mapToObj(r -> memory(r, ranks))
                .max((a, b) -> Long.compare(a.total(), b.total()))
                .orElseThrow();
    }

    /// The same by the paper (Rajbhandari et al. 2020, figure 1), for a model of so many parameters.
    public Paper paper(double parameters, int ranks) {
        double state = stateBytes(layout.dtype()) * parameters;
        double values = layout.dtype().bytes() * parameters;
        return new Paper(stage.divides(Stage.PARAMETERS) ? values / ranks : values,
                stage.divides(Stage.GRADIENTS) ? values / ranks : values,
                stage.divides(Stage.OPTIMIZER) ? state / ranks : state);
    }

    /// What a rank communicates in a step; nothing where it is alone.
    public Traffic traffic(int rank, int ranks) {
        Map<Verb, Traffic.Count> counts = new EnumMap<>(Verb.class);
        for (Verb v : Verb.values()) {
            counts.put(v, new Traffic.Count(0, 0, 0));
        }
        if (ranks > 1) {
            collectives.forEach((c, times) -> counts.merge(c.verb(), c.count(rank, ranks, times), (a, b) -> //
            new Traffic.Count(a.calls() + b.calls(), a.elements() + b.elements(), a.bytes() + b.bytes())));
        }
        return new Traffic(counts);
    }

    /// What the rank communicates that sends most.
    public Traffic.Count mostSent(int ranks) {
        return IntStream.range(0, ranks)
                .mapToObj(r -> traffic(r, ranks).total())
                .max((a, b) -> Long.compare(a.bytes(), b.bytes()))
                .orElseThrow();
    }

    /// Elements a rank sends and receives in a step by the paper (section 7), for a model of so many parameters: 2, 2,
    /// 2 and 3 times as many, of which stages 2 and 3 repeat in each micro-batch what they do in each.
    public double paperElements(double parameters, int ranks) {
        double times = switch (stage) {
            case REPLICATED, OPTIMIZER -> 2;
            case GRADIENTS -> gradAccum + 1;
            case PARAMETERS -> 3 * gradAccum;
        };
        return ranks == 1 ? 0 : times * parameters;
    }

    /// How long a step's communication takes on a ring, if nothing is computed meanwhile.
    ///
    /// @param bandwidth bytes a second that a rank can send while it receives as much
    /// @param latency seconds of a message of no bytes
    public double seconds(int ranks, double bandwidth, double latency) {
        return collectives.entrySet().stream()
                .mapToDouble(e -> e.getValue() * e.getKey().seconds(ranks, bandwidth, latency))
                .sum();
    }
}
