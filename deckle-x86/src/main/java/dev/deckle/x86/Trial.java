package dev.deckle.x86;

import static dev.deckle.x86.emit.Asm.Mem.at;
import static dev.deckle.x86.emit.Asm.Reg.*;

import dev.deckle.kernel.NativeCall;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Asm.Reg;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Linux;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;

/// Runs code in a child process, to see whether it survives. A processor may announce instructions that a hypervisor
/// then traps, or that the system under it has not made ready: in this process their first use would end the JVM.
///
/// The child is a copy of the process with the calling thread alone, made by emitted code. There is no C library and no
/// JVM on its way, since both may hold locks that no thread of the child will ever give back, and it never returns
/// into Java. It is a child without a signal at its end, which waits for none but [#WAIT_ALL] asks for: neither
/// `Process` nor a library that waits for any child gets to see it. Its memory is its own (no `vfork`): what the code
/// does there is lost, and before Linux 5.16 a core dump ended all processes that shared memory.
final class Trial {
    // system calls of Linux on x86-64, see linux/arch/x86/entry/syscalls/syscall_64.tbl
    private static final int RT_SIGACTION = 13;
    private static final int ALARM = 37;
    private static final int CLONE = 56;
    static final int WAIT4 = 61;
    private static final int PRCTL = 157;
    private static final int EXIT_GROUP = 231;

    static final long WAIT_ALL = 0x40000000; // __WALL
    private static final int SET_DUMPABLE = 4; // PR_SET_DUMPABLE
    private static final int INTERRUPTED = -4; // EINTR

    /// SIGILL, SIGBUS, SIGFPE, SIGSEGV: the JVM's answer would be a crash log; and SIGALRM.
    private static final int[] FATAL = {4, 7, 8, 11, 14};
    private static final int ALARM_SIGNAL = 14;
    /// An instruction that is trapped wrongly may start again for ever.
    private static final int SECONDS = 5;
    /// What the system reads of a `struct kernel_sigaction`: handler, flags, restorer, mask.
    private static final int ACTION_WORDS = 4;
    private static final Reg[] ARGUMENTS = {RDI, RSI, RDX, RCX, R8, R9};
    /// Of the arguments of a [NativeCall#call], the last: it lies on the stack above four others.
    private static final int FUNCTION = 32;

    static final List<Code.Entry> ENTRIES;
    static final byte[] BYTES;
    private static final MemorySegment CHILD;
    private static final MemorySegment SYSTEM;

    static {
        Asm asm = new Asm(Isa.AVX2);
        child(asm);
        int child = asm.size();
        system(asm);
        ENTRIES = List.of(new Code.Entry("child", 0, child), new Code.Entry("system", child, asm.size()));
        BYTES = asm.bytes();
        MemorySegment code = Linux.executable(BYTES);
        CHILD = code;
        SYSTEM = code.asSlice(child);
    }

    private Trial() {}

    /// Calls `function` with ten numbers in a child process, and waits until that has ended.
    ///
    /// @return how it ended if the function did not come back, or why there was no child; to follow a colon
    static Optional<String> run(
            MemorySegment function,
            long a, long b, long c, long d, long e, long f, long g, long h, long i, long j) {
        long pid = NativeCall.call(CHILD, a, b, c, d, e, f, g, h, i, j, function.address());
        if (pid < 0) {
            return Optional.of("the system refuses a child process for a trial (clone, error " + -pid + ")");
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = arena.allocate(ValueLayout.JAVA_INT);
            long ended;
            do {
                ended = system(WAIT4, pid, status.address(), WAIT_ALL, 0);
            } while (ended == INTERRUPTED);
            if (ended != pid) {
                return Optional.of("a trial in a child process was lost (wait4, error " + -ended + ")");
            }
            return outcome(status.get(ValueLayout.JAVA_INT, 0));
        }
    }

    private static Optional<String> outcome(int status) {
        int signal = status & 0x7F;
        String ended = "a trial in a child process ended ";
        if (signal == ALARM_SIGNAL) {
            return Optional.of("a trial in a child process took more than " + SECONDS + " seconds");
        }
        return signal != 0 ? Optional.of(ended + "by signal " + signal)
                : status != 0 ? Optional.of(ended + "with status " + (status >> 8))
                        : Optional.empty();
    }

    /// A system call.
    ///
    /// @return its result, or the error, negative
    static long system(int number, long a, long b, long c, long d) {
        return NativeCall.call(SYSTEM, number, a, b, c, d, 0);
    }

    /// `long system(number, a, b, c, d)`
    private static void system(Asm asm) {
        asm.mov(RAX, RDI);
        asm.mov(RDI, RSI);
        asm.mov(RSI, RDX);
        asm.mov(RDX, RCX);
        asm.mov(R10, R8);
        asm.systemCall();
        asm.ret();
    }

    /// `long child(ten arguments, function)`: the child's number, or the error, negative. It returns in the parent
    /// only.
    private static void child(Asm asm) {
        asm.push(ARGUMENTS);
        system(asm, CLONE, 0, 0); // nothing is shared, no signal at the end, the same stack
        asm.test(RAX);
        int inChild = asm.skipIfZero();
        asm.add(RSP, 8 * ARGUMENTS.length);
        asm.ret();

        asm.land(inChild);
        asm.zero(RAX);
        for (int i = 0; i < ACTION_WORDS; i++) {
            asm.push(RAX); // SIG_DFL
        }
        for (int signal : FATAL) {
            asm.mov(RSI, RSP);
            asm.zero(RDX);
            set(asm, R10, 8); // bytes of a set of signals
            set(asm, RDI, signal);
            set(asm, RAX, RT_SIGACTION);
            asm.systemCall();
        }
        system(asm, PRCTL, SET_DUMPABLE, 0); // it may fail, and not leave a core file
        system(asm, ALARM, SECONDS, 0);
        asm.add(RSP, 8 * ACTION_WORDS);
        asm.pop(ARGUMENTS);
        // Without the way back into Java on the stack, the call puts its own in that place: the function finds its
        // arguments where they are.
        asm.pop(RAX);
        asm.mov(RAX, at(RSP, FUNCTION));
        asm.call(RAX);
        system(asm, EXIT_GROUP, 0, 0);
    }

    /// Overwrites RCX and R11, as each system call does.
    private static void system(Asm asm, int number, int a, int b) {
        set(asm, RDI, a);
        set(asm, RSI, b);
        set(asm, RAX, number);
        asm.systemCall();
    }

    private static void set(Asm asm, Reg r, int value) {
        asm.zero(r);
        if (value != 0) {
            asm.add(r, value);
        }
    }
}
