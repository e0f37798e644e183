package dev.deckle.distributed;

import java.util.EnumMap;
import java.util.Map;
import java.util.function.BinaryOperator;

/// How much a rank has communicated, by verb; every verb has an entry.
public record Traffic(Map<Verb, Count> counts) {
    /// `elements` as ZeRO's paper counts them (Rajbhandari et al. 2020, section 7): the length of the tensor for a
    /// reduce-scatter, an all-gather or a broadcast, twice that for an all-reduce. `bytes` is what this rank sends to
    /// others: what it holds of their shards in a reduce-scatter, its own shard to each of them in an all-gather
    /// (together (N-1)/N of the tensor where shards are equal). A broadcast counts for its root alone, once for each
    /// receiver, whoever passes it on.
    public record Count(long calls, long elements, long bytes) {
        static final Count NONE = new Count(0, 0, 0);

        Count plus(Count other) {
            return new Count(calls + other.calls, elements + other.elements, bytes + other.bytes);
        }

        Count minus(Count other) {
            return new Count(calls - other.calls, elements - other.elements, bytes - other.bytes);
        }
    }

    public Traffic {
        counts = Map.copyOf(counts);
    }

    /// Nothing was sent.
    public static final Traffic NONE = of((_, _) -> Count.NONE, Map.of(), Map.of());

    /// What came after `earlier`.
    public Traffic since(Traffic earlier) {
        return of(Count::minus, counts, earlier.counts);
    }

    /// One more call.
    Traffic plus(Verb verb, long elements, long bytes) {
        return of(Count::plus, counts, Map.of(verb, new Count(1, elements, bytes)));
    }

    /// All verbs together.
    public Count total() {
        return counts.values().stream().reduce(Count.NONE, Count::plus);
    }

    private static Traffic of(BinaryOperator<Count> f, Map<Verb, Count> a, Map<Verb, Count> b) {
        Map<Verb, Count> all = new EnumMap<>(Verb.class);
        for (Verb v : Verb.values()) {
            all.put(v, f.apply(a.getOrDefault(v, Count.NONE), b.getOrDefault(v, Count.NONE)));
        }
        return new Traffic(all);
    }
}
