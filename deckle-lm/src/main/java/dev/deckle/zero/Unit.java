package dev.deckle.zero;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Work;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/// What is needed at the same time: one layer's parameters, or those before or after all layers. Gathered, summed and
/// let go together.
final class Unit {
    private final String name;
    private final int index;
    private final Setting setting;
    private final List<Region> regions = new ArrayList<>();
    private final List<Work> arriving = new ArrayList<>();
    private final List<Work> summing = new ArrayList<>();
    private boolean gathered; // or on the way

    /// @param index its place in the order in which the model uses its units
    Unit(String name, int index, Setting setting) {
        this.name = name;
        this.index = index;
        this.setting = setting;
    }

    String name() {
        return name;
    }

    int index() {
        return index;
    }

    List<Region> regions() {
        return regions;
    }

    Tensor add(String parameter, Tensor initialValues, DType dtype, boolean learns) {
        Region region = regions.stream()
                .filter(r -> r.dtype() == dtype && r.learns() == learns)
                .findFirst()
                .orElseGet(() -> {
                    regions.add(new Region(name, dtype, learns, setting));
                    return regions.getLast();
                });
        return region.add(parameter, initialValues);
    }

    void seal() {
        regions.forEach(Region::seal);
    }

    // ---- values

    boolean gathered() {
        return gathered;
    }

    /// Begins to gather the values.
    void gather(Communicator communicator) {
        gathered = true;
        regions.forEach(r -> arriving.add(r.gather(communicator)));
    }

    /// Begins to give the others what this rank has updated, and to take what they have.
    void spread(Communicator communicator) {
        regions.stream().filter(Region::learns).forEach(r -> arriving.add(r.spread(communicator)));
    }

    /// The values can be read when this returns.
    void await(Consumer<Work> waiting) {
        if (!arriving.isEmpty()) {
            arriving.forEach(waiting);
            arriving.clear();
            if (gathered) {
                regions.forEach(Region::arrived);
            }
        }
    }

    void letGo(Consumer<Work> waiting) {
        await(waiting);
        regions.forEach(Region::letGo);
        gathered = false;
    }

    // ---- gradients

    /// Begins to sum the gradients over the ranks.
    void sum(Communicator communicator) {
        regions.stream().filter(Region::learns).forEach(r -> summing.add(r.sum(communicator)));
    }

    /// The sums are kept when this returns.
    void keepSums(Consumer<Work> waiting) {
        summing.forEach(waiting);
        summing.clear();
        regions.stream().filter(Region::learns).forEach(Region::keepSum);
    }
}
