package dev.deckle.x86.emit;

import java.lang.foreign.MemorySegment;
import java.util.function.Supplier;

/// Machine code that is emitted when it is first asked for. A command needs few of all functions, and to emit them all
/// would take a tenth of a second of each start, because Java itself is not yet compiled then.
public final class Function {
    private final Supplier<byte[]> emitter;
    private volatile MemorySegment code;

    public Function(Supplier<byte[]> emitter) {
        this.emitter = emitter;
    }

    public MemorySegment get() {
        MemorySegment c = code;
        return c != null ? c : emit();
    }

    private synchronized MemorySegment emit() {
        if (code == null) {
            code = Linux.executable(emitter.get());
        }
        return code;
    }

    /// What it consists of.
    public byte[] bytes() {
        return emitter.get();
    }
}
