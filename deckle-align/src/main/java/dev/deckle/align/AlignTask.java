package dev.deckle.align;

import dev.deckle.distributed.Communicator;
import dev.deckle.memory.Workspace;
import dev.deckle.models.CausalLm;
import dev.deckle.tensor.Tensor;
import dev.deckle.train.Task;
import dev.deckle.zero.Partition;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;

/// What all methods share: the model, this rank's part of the rows, and sums for the metrics of a step.
abstract class AlignTask implements Task {
    final AlignOptions options;
    final CausalLm model;
    private final long checksum;
    private final Map<String, Double> sums = new LinkedHashMap<>(); // of this rank, in this step
    Communicator ranks;
    Partition partition;

    /// @param checksum of the data
    AlignTask(AlignOptions options, CausalLm model, long checksum) {
        this.options = options;
        this.model = model;
        this.checksum = checksum;
    }

    @Override
    public void connect(Communicator ranks, Partition partition) {
        this.ranks = ranks;
        this.partition = partition;
    }

    /// This rank's part of the rows of a micro-batch.
    <R> List<R> mine(List<R> all) {
        int each = all.size() / ranks.worldSize();
        return all.subList(ranks.rank() * each, (ranks.rank() + 1) * each);
    }

    /// The rows of a step's micro-batch, on all ranks.
    static <R> List<R> rows(List<R> data, Order order, List<Long> positions) {
        return positions.stream().map(p -> data.get(order.row(p))).toList();
    }

    /// What is held out, in batches of which each rank takes a part. A rank for which there is none goes through one
    /// all the same, because the ranks must keep together; what it counts then is forgotten.
    ///
    /// @param measure counts, by [#evaluated], what rows add to the metrics
    /// @return what was counted, over all rows
    <R> Map<String, Double> evaluate(List<R> held, Consumer<List<R>> measure) {
        if (held.isEmpty()) {
            return Map.of();
        }
        for (int from = 0; from < held.size(); from += options.batch_size) {
            List<R> batch = held.subList(from, Math.min(held.size(), from + options.batch_size));
            int begin = batch.size() * ranks.rank() / ranks.worldSize();
            int end = batch.size() * (ranks.rank() + 1) / ranks.worldSize();
            Map<String, Double> before = Map.copyOf(sums);
            measure.accept(end > begin ? batch.subList(begin, end) : batch.subList(0, 1));
            if (end == begin) {
                sums.replaceAll((name, _) -> before.getOrDefault(name, 0.0));
            }
        }
        return counted();
    }

    /// What a loss is, without gradients.
    double evaluated(Supplier<Tensor> loss) {
        return partition.evaluate(() -> {
            try (Workspace _ = Workspace.open()) {
                return loss.get().item();
            }
        });
    }

    /// Means of what was counted, under the names that evaluations have.
    ///
    /// @param by the sum that the others are divided by
    static Map<String, Number> means(Map<String, Double> sums, String by) {
        Map<String, Number> m = new LinkedHashMap<>();
        sums.forEach((name, sum) -> {
            if (!name.equals(by)) {
                m.put("eval_" + name, sum / sums.get(by));
            }
        });
        return m;
    }

    /// Counts a number for the metrics of this step; the ranks' are added up.
    void count(String name, double value) {
        sums.merge(name, value, Double::sum);
    }

    /// Counts what a tensor sums to.
    void count(String name, Tensor values) {
        count(name, values.detach().sum().item());
    }

    /// What was counted in this step on all ranks; then counting begins anew. Every rank has counted the same names.
    Map<String, Double> counted() {
        List<String> names = List.copyOf(sums.keySet());
        double[] all = partition.sum(names.stream().mapToDouble(sums::get).toArray());
        Map<String, Double> total = new LinkedHashMap<>();
        for (int i = 0; i < all.length; i++) {
            total.put(names.get(i), all[i]);
        }
        sums.clear();
        return total;
    }

    /// The largest of a number over all ranks.
    double largest(double own) {
        double most = own;
        for (byte[] b : ranks.allGather(ByteBuffer.allocate(Double.BYTES).putDouble(own).array())) {
            most = Math.max(most, ByteBuffer.wrap(b).getDouble());
        }
        return most;
    }

    @Override
    public long checksum() {
        return checksum;
    }
}
