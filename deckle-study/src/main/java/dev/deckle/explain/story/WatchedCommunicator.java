package dev.deckle.explain.story;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.Traffic;
import dev.deckle.distributed.Verb;
import dev.deckle.distributed.Work;
import dev.deckle.tensor.Tensor;
import dev.deckle.zero.Partition;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/// A rank's communicator whose collectives are remembered, with what the rank then held. They are done when they
/// return: a story needs no overlap.
final class WatchedCommunicator implements Communicator {
    /// When it is asked for something.
    enum Moment {
        FORWARD("forward"),
        BACKWARD("backward"),
        UPDATED("after the update");

        private final String words;

        Moment(String words) {
            this.words = words;
        }

        String words() {
            return words;
        }
    }

    /// A collective.
    ///
    /// @param numel of the whole tensor
    /// @param sent bytes, by this rank
    /// @param elements as [Traffic] counts them
    /// @param held when it begins
    /// @param before the tensor's number [ZeroStories#FOLLOWED] on this rank, as `after`; NaN where it has none
    record Event(
            Moment moment, Verb verb, long numel, long sent, long elements, Partition.Memory held, double before,
            double after) {}

    private final Communicator real;
    private final Supplier<Partition.Memory> memory;
    private final List<Event> events = new ArrayList<>();
    private Moment moment = Moment.FORWARD;

    WatchedCommunicator(Communicator real, Supplier<Partition.Memory> memory) {
        this.real = real;
        this.memory = memory;
    }

    void enter(Moment m) {
        moment = m;
    }

    /// So far.
    List<Event> events() {
        return List.copyOf(events);
    }

    private Work watch(Verb verb, Tensor x, Supplier<Work> collective) {
        Traffic then = real.traffic();
        Partition.Memory held = memory.get();
        double before = followed(x);
        Work work = collective.get();
        work.await();
        Traffic.Count count = real.traffic().since(then).total();
        events.add(new Event(moment, verb, x.numel(), count.bytes(), count.elements(), held, before, followed(x)));
        return work;
    }

    private static double followed(Tensor x) {
        return x.numel() > ZeroStories.FOLLOWED ? x.toDoubles()[ZeroStories.FOLLOWED] : Double.NaN;
    }

    @Override
    public Work allReduce(Tensor x) {
        return watch(Verb.ALL_REDUCE, x, () -> real.allReduce(x));
    }

    @Override
    public Work reduceScatter(Tensor x) {
        return watch(Verb.REDUCE_SCATTER, x, () -> real.reduceScatter(x));
    }

    @Override
    public Work allGather(Tensor x) {
        return watch(Verb.ALL_GATHER, x, () -> real.allGather(x));
    }

    @Override
    public Work broadcast(Tensor x, int root) {
        return real.broadcast(x, root);
    }

    @Override
    public Work barrier() {
        return real.barrier();
    }

    @Override
    public byte[][] allGather(byte[] mine) {
        return real.allGather(mine);
    }

    @Override
    public int rank() {
        return real.rank();
    }

    @Override
    public int worldSize() {
        return real.worldSize();
    }

    @Override
    public Traffic traffic() {
        return real.traffic();
    }

    @Override
    public void abort(String why) {
        real.abort(why);
    }

    @Override
    public void close() {
        real.close();
    }
}
