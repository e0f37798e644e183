package dev.deckle.distributed;

import dev.deckle.tensor.Tensor;

/// N ranks that compute together. Every rank calls the same verbs in the same order with tensors of the same length and
/// type; a verb returns at once, and its [Work] says when the result is there.
///
/// **Tensors** are one-dimensional and contiguous, and are changed in place. From the call until [Work#await()] returns
/// nobody else may read or write one, and it must stay alive. Any length will do, 0 and less than N too.
///
/// **Order of summation.** A sum over ranks is `((x0 + x1) + x2) + ...` in the order of ranks, whatever the timing and
/// whatever carries the data. So a run can be repeated to the bit, and ranks as threads give the same bits as processes
/// under MPI. BF16 is summed in F32 and rounded once, at the end.
///
/// **Cost.** An all-reduce is a reduce-scatter and then an all-gather: of n bytes each rank sends (N-1)/N n, twice,
/// which is the least that can be sent (Thakur, Rabenseifner and Gropp 2005, "Optimization of Collective Communication
/// Operations in MPICH", whose ring has this cost).
///
/// **Failure.** A rank that cannot go on calls [#abort]; the others then get a [RankFailure] from whatever they wait
/// for. Nothing can be sent after that.
///
/// PyTorch: `torch.distributed`, from which the verbs have their names; its handles have `wait()` for `await()`.
public interface Communicator extends AutoCloseable {
    /// Which of the ranks this is: 0..worldSize-1.
    int rank();

    /// How many ranks there are.
    int worldSize();

    /// Every element of x (F32, F64, BF16 or I64) becomes its sum over the ranks.
    Work allReduce(Tensor x);

    /// This rank's [Shard] of x (F32, F64, BF16 or I64) becomes the sum over the ranks; the rest of x stays as it was.
    Work reduceScatter(Tensor x);

    /// Each rank gives its own [Shard] of x, of any type, and gets those of the others.
    Work allGather(Tensor x);

    /// x, of any type, becomes what it is on `root`.
    Work broadcast(Tensor x, int root);

    /// Is done when every rank has called it.
    Work barrier();

    /// What each rank brings, in the order of ranks: for small things of unequal length, as messages and traces are.
    /// Waits for the result, and does not count as [Traffic].
    byte[][] allGather(byte[] mine);

    /// What was asked for and sent since the start.
    Traffic traffic();

    /// Tells the others that this rank is at its end: whatever they wait for then fails with a [RankFailure] that names
    /// this rank and `why`, within seconds. When it returns nothing in flight touches this rank's tensors any more, so
    /// call it before their memory is given back. Nothing happens if a rank had failed before.
    void abort(String why);

    /// Waits for what is in flight, then ends. After a failure it does not wait for anybody. A rank that fails calls
    /// [#abort] first: whoever goes on when this one has closed is told no more than that.
    @Override
    void close();
}
