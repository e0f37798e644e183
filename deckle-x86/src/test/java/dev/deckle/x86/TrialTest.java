package dev.deckle.x86;

import static dev.deckle.x86.Asm.Mem.at;
import static dev.deckle.x86.Asm.Reg.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.x86.Asm.Reg;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class TrialTest {
    private static final int EXIT_GROUP = 231;
    private static final int NO_CHILD = -10; // ECHILD
    private static final long AT_ONCE = 1; // WNOHANG

    private static final MemorySegment HARMLESS = emit(Asm::ret);
    private static final MemorySegment ILLEGAL = emit(asm -> put(asm, 0x0F, 0x0B)); // ud2

    private final Set<Path> before = left();

    /// What the JVM and the system leave where they may when a process crashes.
    private static Set<Path> left() {
        try (var files = Files.list(Path.of(""))) {
            return files.filter(f -> f.toString().matches("(hs_err|core|replay).*")).collect(Collectors.toSet());
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @AfterEach
    void nothingIsLeft() {
        assertEquals(NO_CHILD, Trial.system(Trial.WAIT4, -1, 0, Trial.WAIT_ALL | AT_ONCE, 0));
        assertEquals(before, left());
    }

    private static MemorySegment emit(Consumer<Asm> body) {
        Asm asm = new Asm(Isa.AVX2);
        body.accept(asm);
        return Linux.executable(asm.bytes());
    }

    private static void put(Asm asm, int... bytes) {
        for (int b : bytes) {
            asm.put(b);
        }
    }

    private static Optional<String> trial(MemorySegment function) {
        return Trial.run(function, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    }

    private static Optional<String> ended(String how) {
        return Optional.of("a trial in a child process ended " + how);
    }

    @Test
    void saysHowTheChildEnded() {
        assertEquals(Optional.empty(), trial(HARMLESS));
        assertEquals(ended("by signal 4"), trial(ILLEGAL));
        assertEquals(ended("by signal 11"), trial(emit(asm -> {
            asm.zero(RAX);
            asm.mov(RAX, at(RAX, 0));
        })));
        assertEquals(ended("by signal 8"), trial(emit(asm -> {
            asm.zero(RCX);
            put(asm, 0x48, 0xF7, 0xF1); // div rcx
        })));
        assertEquals(Optional.of("a trial in a child process took more than 5 seconds"),
                trial(emit(asm -> signal(asm, 14))));
    }

    /// kill(getpid(), signal), as the system would at the end of the time.
    private static void signal(Asm asm, int signal) {
        system(asm, 39);
        asm.mov(RDI, RAX);
        set(asm, RSI, signal);
        system(asm, 62);
    }

    private static void set(Asm asm, Reg r, int value) {
        asm.zero(r);
        asm.add(r, value);
    }

    private static void system(Asm asm, int number) {
        set(asm, RAX, number);
        asm.systemCall();
    }

    private static void exitWith(Asm asm, Reg status) {
        asm.mov(RDI, status);
        system(asm, EXIT_GROUP);
    }

    /// Asks in the child: which seconds are left, whether it would leave a core file.
    @Test
    void theChildHasLittleTimeAndLeavesNoCore() {
        assertEquals(ended("with status 5"), trial(emit(asm -> {
            set(asm, RDI, 0);
            system(asm, 37); // alarm(0)
            exitWith(asm, RAX);
        })));
        assertEquals(ended("with status 9"), trial(emit(asm -> {
            set(asm, RDI, 3);
            system(asm, 157); // prctl(PR_GET_DUMPABLE)
            asm.add(RAX, 9);
            exitWith(asm, RAX);
        })));
    }

    @Test
    void theFunctionIsCalledAsFromHere() {
        MemorySegment sum = emit(asm -> {
            asm.zero(RAX);
            for (Reg r : new Reg[] {RDI, RSI, RDX, RCX, R8, R9}) {
                asm.lea(RAX, at(RAX, RAX, 2, 0));
                asm.add(RAX, r);
            }
            for (int i = 1; i <= 4; i++) {
                asm.lea(RAX, at(RAX, RAX, 2, 0));
                asm.add(RAX, at(RSP, 8 * i));
            }
            exitWith(asm, RAX);
        });
        int expected = 0;
        for (int x : new int[] {2, 3, 5, 7, 11, 13, 17, 19, 23, 29}) {
            expected = 3 * expected + x;
        }
        assertEquals(ended("with status " + expected % 256), Trial.run(sum, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29));
        assertEquals(Optional.empty(), trial(emit(asm -> {
            put(asm, 0x0F, 0x29, 0x44, 0x24, 0x08); // movaps [rsp + 8], xmm0: a fault unless the stack is aligned
            asm.ret();
        })));
    }

    @Test
    void triesTheMatrixUnit() {
        Cpu cpu = Cpu.detect();
        AmxCode unit = new AmxCode(Linux::call);
        if (cpu.amxBf16()) {
            assertEquals(Optional.empty(), Linux.askForTiles());
            assertEquals(Optional.empty(), unit.tried());
        } else {
            assertEquals(ended("by signal 4"), unit.tried());
            Halves halves = Halves.tried(unit);
            assertFalse(halves.amx());
            assertTrue(halves.code().orElseThrow().amx.isEmpty());
            assertEquals("; bf16 by AVX512_BF16; AMX_BF16 not used: a trial in a child process ended by signal 4",
                    halves.describe());
        }
    }

    /// And children of Java's come and go undisturbed meanwhile.
    @Test
    void aThousandTrialsLeaveNothing() throws Exception {
        trial(HARMLESS);
        long pages = pagesOfCode();
        AtomicBoolean enough = new AtomicBoolean();
        try (var other = Executors.newSingleThreadExecutor()) {
            Future<Integer> started = other.submit(() -> {
                int times = 0;
                do {
                    Process p = new ProcessBuilder("sh", "-c", "echo " + times + "; exit 7").start();
                    assertEquals(times + "\n", new String(p.getInputStream().readAllBytes()));
                    assertEquals(7, p.waitFor());
                    times++;
                } while (!enough.get());
                return times;
            });
            try {
                for (int i = 0; i < 1000; i++) {
                    assertEquals(i % 2 == 0 ? Optional.empty() : ended("by signal 4"),
                            trial(i % 2 == 0 ? HARMLESS : ILLEGAL));
                }
            } finally {
                enough.set(true);
            }
            assertTrue(started.get() > 0);
        }
        assertEquals(pages, pagesOfCode());
        assertEquals(0, new ProcessBuilder("true").start().waitFor());
    }

    /// Mappings of emitted code: executable, from no file.
    private static long pagesOfCode() throws IOException {
        try (var lines = Files.lines(Path.of("/proc/self/maps"))) {
            return lines.filter(l -> l.contains(" r-xp 00000000 00:00 0") && !l.contains("[")).count();
        }
    }
}
