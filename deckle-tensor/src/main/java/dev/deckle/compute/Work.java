package dev.deckle.compute;

import dev.deckle.kernel.Team;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;

/// Splits work over the team by its size alone, so that any thread count gives the same bits.
final class Work {
    /// Elements of one task: enough that starting it (about a microsecond) is cheap, and few enough to share.
    static final long GRAIN = 16_384;
    /// Tasks of [#rows] at most, enough for many threads: SwiGLU of 3 million numbers takes 0.96 and 0.99 ms in 64
    /// tasks, 1.03 and 1.05 in 192 (two threads of a Zen 5).
    private static final int MOST = 64;

    /// A part of the rows, from `from` to `to` (exclusive).
    @FunctionalInterface
    interface Range {
        void run(long from, long to);
    }

    private Work() {}

    /// Runs `body` over `rows` rows of `width` elements each. `touched` are the tensors whose memory it reads and
    /// writes by address: they stay alive until it is done.
    static void rows(long rows, long width, Range body, Tensor... touched) {
        split(rows, Math.max(Math.max(1, GRAIN / Math.max(1, width)), Math.ceilDiv(rows, MOST)), body);
        Reference.reachabilityFence(touched);
    }

    /// The memory of these is not given back before here: kernels see addresses only.
    static void keepAlive(Tensor... touched) {
        Reference.reachabilityFence(touched);
    }

    /// How many tasks [#split] makes.
    static int tasks(long rows, long each) {
        return Math.toIntExact((rows + each - 1) / each);
    }

    /// The same with `each` rows a task.
    static void split(long rows, long each, Range body) {
        Team.shared().parallelFor(tasks(rows, each), t -> body.run(t * each, Math.min(rows, (t + 1) * each)));
    }
}
