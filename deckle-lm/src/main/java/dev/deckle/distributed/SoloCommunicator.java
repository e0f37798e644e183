package dev.deckle.distributed;

import dev.deckle.tensor.Tensor;

/// The only rank: every tensor already holds its sum over the ranks, and nothing is sent or counted.
public final class SoloCommunicator implements Communicator {
    private static final Work DONE = new Work() {
        @Override
        public void await() {}

        @Override
        public boolean isDone() {
            return true;
        }
    };

    private volatile RuntimeException ended;

    public SoloCommunicator() {}

    @Override
    public int rank() {
        return 0;
    }

    @Override
    public int worldSize() {
        return 1;
    }

    @Override
    public Work allReduce(Tensor x) {
        return done(Verb.ALL_REDUCE, x);
    }

    @Override
    public Work reduceScatter(Tensor x) {
        return done(Verb.REDUCE_SCATTER, x);
    }

    @Override
    public Work allGather(Tensor x) {
        return done(Verb.ALL_GATHER, x);
    }

    @Override
    public Work broadcast(Tensor x, int root) {
        Buffers.checkRoot(root, 1);
        return done(Verb.BROADCAST, x);
    }

    @Override
    public Work barrier() {
        refuse();
        return DONE;
    }

    @Override
    public byte[][] allGather(byte[] mine) {
        refuse();
        return new byte[][] {mine.clone()};
    }

    private Work done(Verb verb, Tensor x) {
        refuse();
        Buffers.check(verb, x);
        return DONE;
    }

    private void refuse() {
        if (ended != null) {
            throw ended;
        }
    }

    @Override
    public Traffic traffic() {
        return Traffic.NONE;
    }

    @Override
    public void abort(String why) {
        if (ended == null) {
            ended = new RankFailure(0, why);
        }
    }

    @Override
    public void close() {
        if (ended == null) {
            ended = new IllegalStateException("this communicator is closed");
        }
    }
}
