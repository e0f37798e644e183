package dev.deckle.x86;

import static dev.deckle.x86.emit.Asm.Mem.at;
import static dev.deckle.x86.emit.Asm.Reg.*;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.NativeCall;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Asm.Reg;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Linux;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrialTest {
    private static final int EXIT_GROUP = 231;

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
        assertTrue(ManyTrials.noChildren());
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
        assertEquals(Optional.empty(), trial(emit(Asm::ret)));
        assertEquals(ended("by signal 4"), trial(emit(asm -> put(asm, 0x0F, 0x0B))));
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
        AmxCode unit = new AmxCode(NativeCall::call);
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

    /// In a JVM of its own, which is small and has only these children: a child begins as a copy of the page tables.
    @Test
    void aThousandTrialsLeaveNothing(@TempDir Path dir) throws Exception {
        String classes = String.join(File.pathSeparator, Path.of("target", "classes").toAbsolutePath().toString(),
                Path.of("target", "test-classes").toAbsolutePath().toString(),
                Path.of(NativeCall.class.getProtectionDomain().getCodeSource().getLocation().toURI()).toString());
        Process p = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx16m",
                "-XX:+UseSerialGC",
                "--enable-native-access=ALL-UNNAMED", "-cp", classes, ManyTrials.class.getName(), "1000")
                .directory(dir.toFile()).redirectErrorStream(true).start();
        assertEquals("fine\n", new String(p.getInputStream().readAllBytes()));
        assertEquals(0, p.waitFor());
        try (var files = Files.list(dir)) {
            assertEquals(List.of(), files.toList());
        }
    }
}
