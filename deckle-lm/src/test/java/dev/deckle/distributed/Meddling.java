package dev.deckle.distributed;

import dev.deckle.tensor.Tensor;

/// A communicator with which something is done before each of its calls: a rank that is late, or that fails.
public class Meddling implements Communicator {
    private final Communicator real;
    private final Runnable before;

    public Meddling(Communicator real, Runnable before) {
        this.real = real;
        this.before = before;
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
    public Work allReduce(Tensor x) {
        before.run();
        return real.allReduce(x);
    }

    @Override
    public Work reduceScatter(Tensor x) {
        before.run();
        return real.reduceScatter(x);
    }

    @Override
    public Work allGather(Tensor x) {
        before.run();
        return real.allGather(x);
    }

    @Override
    public Work broadcast(Tensor x, int root) {
        before.run();
        return real.broadcast(x, root);
    }

    @Override
    public Work barrier() {
        before.run();
        return real.barrier();
    }

    @Override
    public byte[][] allGather(byte[] mine) {
        before.run();
        return real.allGather(mine);
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
