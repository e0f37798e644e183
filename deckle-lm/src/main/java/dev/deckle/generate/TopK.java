package dev.deckle.generate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The k largest numbers of a stream, by a heap of k numbers whose root is the **smallest** of them: the one that the
/// next number must beat. The stream may be longer than memory.
///
/// Of equal numbers the earlier one stays. A NaN is refused, because it is neither larger nor smaller than anything.
///
/// - **Formula**: `value[i] <= value[2i + 1]` and `value[i] <= value[2i + 2]`; a number larger than `value[0]` takes
///   its place and sifts down past the smaller of its children.
/// - **Shapes**: a stream of n numbers, of which k <= n are kept; what is kept is named by its position in the stream.
/// - **Cost**: O(n log k) time at worst, when the stream ascends, and about n + k log k log(n / k) for a shuffled one,
///   since most numbers lose against the root at once; O(k) memory. Sorting takes O(n log n) and O(n).
/// - **Source**: Williams 1964, Algorithm 232: Heapsort; Floyd 1964, Algorithm 245: Treesort 3.
/// - **PyTorch**: `torch.topk`, which counts NaN as the largest and promises no order among equals; Python's
///   `heapq.nlargest`.
/// - **Classic mistake**: a heap with the largest number at its root: it shows the winner, and cannot tell in O(1) whom
///   a newcomer has to beat.
public final class TopK {
    /// A number of the stream.
    ///
    /// @param position how many came before it
    public record Entry(long position, double value) {}

    /// How often a thing came.
    public record Frequency<T>(T thing, long count) {}

    private static final Comparator<Entry> BEST_FIRST =
            Comparator.comparingDouble(Entry::value).reversed().thenComparingLong(Entry::position);

    private final double[] values; // the heap: the children of i are 2i + 1 and 2i + 2
    private final long[] positions;
    private int size;
    private long seen;

    /// @param k how many to keep
    public TopK(int k) {
        if (k < 1) {
            throw new IllegalArgumentException("k must be at least 1, not " + k);
        }
        values = new double[k];
        positions = new long[k];
    }

    /// Takes the next number of the stream.
    ///
    /// @return whether it is among the k largest so far
    /// @throws IllegalArgumentException if it is NaN
    public boolean push(double value) {
        long position = seen++;
        if (size == values.length && value <= values[0]) {
            return false;
        }
        if (Double.isNaN(value)) {
            throw new IllegalArgumentException("number " + position + " of the stream is NaN, which has no order");
        }
        if (size < values.length) {
            set(size, value, position);
            siftUp(size++);
        } else {
            set(0, value, position);
            siftDown(0);
        }
        return true;
    }

    /// The numbers of an array, one after another.
    public void pushAll(float... numbers) {
        for (float f : numbers) {
            push(f);
        }
    }

    /// While it is before its parent, it changes places with it.
    private void siftUp(int i) {
        while (i > 0) {
            int parent = (i - 1) / 2;
            if (!leavesBefore(i, parent)) {
                return;
            }
            swap(i, parent);
            i = parent;
        }
    }

    /// While a child is before it, it changes places with the first of them.
    private void siftDown(int i) {
        while (true) {
            int first = i;
            for (int child = 2 * i + 1; child <= 2 * i + 2 && child < size; child++) {
                if (leavesBefore(child, first)) {
                    first = child;
                }
            }
            if (first == i) {
                return;
            }
            swap(i, first);
            i = first;
        }
    }

    /// The smaller number leaves first, of equal ones the later.
    private boolean leavesBefore(int i, int j) {
        return values[i] < values[j] || values[i] == values[j] && positions[i] > positions[j];
    }

    private void swap(int i, int j) {
        double value = values[i];
        long position = positions[i];
        set(i, values[j], positions[j]);
        set(j, value, position);
    }

    private void set(int i, double value, long position) {
        values[i] = value;
        positions[i] = position;
    }

    /// How many are kept: k, or all of a shorter stream.
    public int size() {
        return size;
    }

    /// The smallest that is kept: the k-th largest of k or more.
    ///
    /// @throws IllegalStateException if there is none yet
    public double least() {
        if (size == 0) {
            throw new IllegalStateException("the stream has had no number yet");
        }
        return values[0];
    }

    /// What is kept, in the order of the heap: the root first, then level by level.
    public List<Entry> heap() {
        List<Entry> heap = new ArrayList<>();
        for (int i = 0; i < size; i++) {
            heap.add(new Entry(positions[i], values[i]));
        }
        return heap;
    }

    /// What is kept, the largest first, of equal ones the earlier first.
    public List<Entry> largest() {
        return heap().stream().sorted(BEST_FIRST).toList();
    }

    /// The k things that come most often, the most frequent first; of equally frequent ones, that which came first.
    /// Counting takes memory for every different thing, the choice among the counts only k.
    public static <T> List<Frequency<T>> mostFrequent(Iterable<? extends T> stream, int k) {
        Map<T, Long> counts = new LinkedHashMap<>(); // in the order in which things came first
        stream.forEach(thing -> counts.merge(thing, 1L, Long::sum));
        TopK top = new TopK(k);
        counts.values().forEach(top::push);
        List<T> things = List.copyOf(counts.keySet());
        return top.largest().stream()
                .map(e -> new Frequency<T>(things.get((int) e.position()), (long) e.value()))
                .toList();
    }
}
