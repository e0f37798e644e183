package dev.deckle.x86;

import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Linux;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;

/// Trials in a row, half of which end badly, while children of Java's come and go. Says `fine` if nothing is left.
final class ManyTrials {
    private static final int NO_CHILD = -10; // ECHILD
    private static final long AT_ONCE = 1; // WNOHANG
    private static final Optional<String> ILLEGAL = Optional.of("a trial in a child process ended by signal 4");

    private ManyTrials() {}

    public static void main(String[] args) throws Exception {
        Asm asm = new Asm(Isa.AVX2);
        asm.ret();
        asm.put(0x0F); // ud2
        asm.put(0x0B);
        MemorySegment code = Linux.executable(asm.bytes());
        Trial.run(code, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
        long pages = pagesOfCode();
        AtomicBoolean enough = new AtomicBoolean();
        try (var other = Executors.newSingleThreadExecutor()) {
            Future<Integer> started = other.submit(() -> {
                int times = 0;
                do {
                    Process p = new ProcessBuilder("sh", "-c", "echo " + times + "; exit 7").start();
                    require((times + "\n").equals(new String(p.getInputStream().readAllBytes())),
                            "what Java's child says");
                    require(p.waitFor() == 7, "the status of Java's child");
                    times++;
                } while (!enough.get());
                return times;
            });
            try {
                for (int i = 0; i < Integer.parseInt(args[0]); i++) {
                    Optional<String> found = Trial.run(code.asSlice(i % 2), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
                    require(found.equals(i % 2 == 0 ? Optional.empty() : ILLEGAL), "trial " + i + ": " + found);
                }
            } finally {
                enough.set(true);
            }
            require(started.get() > 0, "Java has children");
        }
        require(noChildren(), "no child is left");
        require(pagesOfCode() == pages, "no code is left");
        require(new ProcessBuilder("true").start().waitFor() == 0, "Java's children still work");
        System.out.println("fine");
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    /// Whether there is nothing to wait for, neither of Java's children nor of trials.
    static boolean noChildren() {
        return Trial.system(Trial.WAIT4, -1, 0, Trial.WAIT_ALL | AT_ONCE, 0) == NO_CHILD;
    }

    /// Mappings of emitted code: executable, from no file.
    private static long pagesOfCode() throws IOException {
        try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(l -> l.contains(" r-xp 00000000 00:00 0") && !l.contains("[")).count();
        }
    }
}
