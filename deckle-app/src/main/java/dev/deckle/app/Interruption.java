package dev.deckle.app;

import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;

/// Ctrl-C and `kill`, heard by work that has something to put in order before the process goes.
final class Interruption {
    /// Work that asks now and then whether it is to stop.
    @FunctionalInterface
    interface Work<T> {
        T run(BooleanSupplier stop) throws IOException;
    }

    private Interruption() {}

    /// Does the work; whoever interrupts the process waits until it has ended.
    static <T> T watched(Work<T> work) throws IOException {
        CountDownLatch ended = new CountDownLatch(1);
        Thread main = Thread.currentThread();
        var stop = new AtomicBoolean();
        Thread hook = Thread.ofPlatform().unstarted(() -> {
            stop.set(true);
            try {
                ended.await(60, TimeUnit.SECONDS);
                main.join(2_000); // the last words
            } catch (InterruptedException _) {
                Thread.currentThread().interrupt();
            }
        });
        Runtime.getRuntime().addShutdownHook(hook);
        try {
            return work.run(stop::get);
        } finally {
            ended.countDown();
            try {
                Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException _) {
                // the process is ending already
            }
        }
    }
}
