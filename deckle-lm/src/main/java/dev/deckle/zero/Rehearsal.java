package dev.deckle.zero;

import dev.deckle.distributed.Verb;
import dev.deckle.tensor.DType;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// What a [Partition] does in a step, with sizes in place of numbers: which collectives it asks for, and what it takes
/// from its buffers and gives back. It follows the same rules; a test holds the two together.
///
/// It knows from the start what follows what. A run learns that in its first step, and then needs no less memory.
final class Rehearsal {
    private static final int NONE = -1;

    private final List<Map<DType, Long>> units;
    private final Stage stage;
    private final List<Integer> forward = new ArrayList<>(); // the units in the order of use
    private final List<Integer> backward; // begins with the unit that forward ended with
    private final Map<Collective, Long> sent = new LinkedHashMap<>(); // and how often
    private final Buffers gathered = new Buffers();
    private final Buffers incoming = new Buffers();
    private final Map<Integer, List<Buffers.Buffer>> values = new HashMap<>();
    private final Map<Integer, List<Buffers.Buffer>> gradients = new HashMap<>();
    private final List<Integer> summing = new ArrayList<>();
    private int unsummed;

    Rehearsal(ZeroLayout layout, Stage stage) {
        units = layout.units();
        this.stage = stage;
        for (int u = 0; u < units.size(); u++) {
            forward.add(u);
        }
        if (layout.tied()) {
            forward.add(0);
        }
        // the embedding's gradient needs no values
        backward = forward.subList(1, forward.size()).reversed();
    }

    /// One micro-batch.
    ///
    /// @param last of the step
    /// @param times how often it comes: that many times the collectives
    void microBatch(boolean last, long times) {
        walk(forward, times);
        unsummed = units.size();
        gatherNext(backward, 0, times);
        int unit = backward.getFirst();
        for (int i = 0; i < backward.size(); i++) {
            int u = backward.get(i);
            if (i > 0) {
                if (u < unit) {
                    sumDownTo(unit, last, times);
                }
                use(backward, i, times);
            }
            unit = u;
            expect(u);
        }
        expect(0); // the embedding's
        sumDownTo(0, last, times);
        keepSums(0);
        letGo(NONE, NONE);
    }

    /// After the optimizer's step.
    void updated() {
        if (stage.divides(Stage.OPTIMIZER) && !stage.divides(Stage.PARAMETERS)) {
            for (int u = 0; u < units.size(); u++) {
                send(Verb.ALL_GATHER, u, 1);
            }
        }
    }

    /// Text of two tokens or more, as a run writes samples: the embedding follows the head.
    void generate() {
        List<Integer> twice = new ArrayList<>(forward);
        twice.addAll(forward);
        walk(twice, 0);
        letGo(NONE, NONE);
    }

    private void walk(List<Integer> order, long times) {
        for (int i = 0; i < order.size(); i++) {
            use(order, i, times);
        }
    }

    // ---- values

    private void use(List<Integer> order, int at, long times) {
        if (stage.divides(Stage.PARAMETERS)) {
            letGo(order.get(at), next(order, at));
            gather(order.get(at), times);
            gatherNext(order, at, times);
        }
    }

    private static int next(List<Integer> order, int at) {
        return at + 1 < order.size() ? order.get(at + 1) : NONE;
    }

    private void gatherNext(List<Integer> order, int at, long times) {
        if (stage.divides(Stage.PARAMETERS) && next(order, at) != NONE) {
            gather(next(order, at), times);
        }
    }

    private void gather(int unit, long times) {
        if (!values.containsKey(unit)) {
            values.put(unit, take(gathered, unit));
            send(Verb.ALL_GATHER, unit, times);
        }
    }

    private void letGo(int but, int orBut) {
        for (int u = 0; u < units.size(); u++) {
            if (u != but && u != orBut && values.containsKey(u)) {
                values.remove(u).forEach(gathered::give);
            }
        }
    }

    // ---- gradients

    private void expect(int unit) {
        if (stage.divides(Stage.GRADIENTS)) {
            gradients.computeIfAbsent(unit, u -> take(incoming, u));
        }
    }

    private void sumDownTo(int to, boolean last, long times) {
        while (unsummed > to && (last || stage.divides(Stage.GRADIENTS))) {
            int u = --unsummed;
            expect(u);
            send(stage.divides(Stage.OPTIMIZER) ? Verb.REDUCE_SCATTER : Verb.ALL_REDUCE, u, times);
            summing.add(u);
            keepSums(1);
        }
    }

    private void keepSums(int leave) {
        while (summing.size() > leave) {
            gradients.getOrDefault(summing.getFirst(), List.of()).forEach(incoming::give);
            gradients.remove(summing.removeFirst());
        }
    }

    // ---- both

    private List<Buffers.Buffer> take(Buffers from, int unit) {
        List<Buffers.Buffer> taken = new ArrayList<>();
        units.get(unit).forEach((dtype, numel) -> taken.add(from.take(numel * dtype.bytes())));
        return taken;
    }

    private void send(Verb verb, int unit, long times) {
        units.get(unit).forEach((dtype, numel) -> sent.merge(new Collective(verb, numel, dtype), times, Long::sum));
    }

    /// The collectives of what was rehearsed, each with how often it came.
    Map<Collective, Long> sent() {
        return Collections.unmodifiableMap(sent);
    }

    /// The most bytes of values that were held at once.
    long mostGathered() {
        return gathered.mostHeld();
    }

    /// The most bytes of gradients on their way to their sum that were held at once.
    long mostIncoming() {
        return incoming.mostHeld();
    }
}
