package dev.deckle.compute;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.kernel.Kernels;
import dev.deckle.kernel.Scratch;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Tensor;

/// Passes whose results are of BF16. They compute in F32 like all others, as many rows at a time as the second-level
/// cache holds, and round these on the way out: half as much goes to memory, and half as much comes back from there to
/// the products that read it.
final class Rounded {
    private static final int SLOT = 10; // of Scratch

    /// Computes rows `first` to `first + rows - 1` in F32.
    @FunctionalInterface
    interface Pass {
        /// @param floats where each result's rows go
        void run(long first, long rows, long[] floats);
    }

    private Rounded() {}

    /// Runs `pass` over all rows of `width` numbers and puts what it computes into `results`, contiguous and of BF16.
    static void rows(long rows, int width, Pass pass, Tensor... results) {
        rows(rows, width, width, pass, results);
    }

    /// The same with rows that begin `apart` numbers from each other in the results.
    static void rows(long rows, int width, long apart, Pass pass, Tensor... results) {
        Kernels k = Door.current().of(Family.ELEMENTWISE, DType.F32);
        long each = Math.max(1, Work.GRAIN / Math.max(1, width));
        long bytes = Float.BYTES * each * width;
        Work.rows(rows, width, (from, to) -> {
            long scratch = Scratch.bytes(SLOT, results.length * bytes);
            long[] floats = new long[results.length];
            for (int i = 0; i < floats.length; i++) {
                floats[i] = scratch + i * bytes;
            }
            for (long first = from; first < to; first += each) {
                long some = Math.min(each, to - first);
                pass.run(first, some, floats);
                for (int i = 0; i < floats.length; i++) {
                    long y = results[i].address() + 2 * first * apart;
                    if (apart == width) {
                        k.narrow(floats[i], y, some * width, false);
                    } else {
                        for (long r = 0; r < some; r++) {
                            k.narrow(floats[i] + 4 * r * width, y + 2 * r * apart, width, false);
                        }
                    }
                }
            }
        }, results);
    }
}
