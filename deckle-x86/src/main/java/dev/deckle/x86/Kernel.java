package dev.deckle.x86;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.NativeCall;
import dev.deckle.kernel.Scratch;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/// A function that is emitted when it is first called: a command needs a few of them, and each takes a millisecond
/// while Java is not yet compiled.
final class Kernel {
    private static final int FRAME_SLOT = 8;

    private record Function(MemorySegment code, long constants) {}

    private final Isa isa;
    private final Consumer<Routine> definition;
    private volatile Function function;

    Kernel(Isa isa, Consumer<Routine> definition) {
        this.isa = isa;
        this.definition = definition;
    }

    /// With the arguments in the order in which the definition declares them.
    void call(long... arguments) {
        Function f = function;
        if (f == null) {
            f = emit();
        }
        long frame = Scratch.bytes(FRAME_SLOT, Routine.FRAME_BYTES);
        for (int i = 0; i < arguments.length; i++) {
            Native.setLong(frame + 8L * i, arguments[i]);
        }
        NativeCall.call(f.code, frame, f.constants, 0, 0, 0, 0);
    }

    /// A scalar argument.
    static long scalar(double x) {
        return Integer.toUnsignedLong(Float.floatToRawIntBits((float) x));
    }

    Routine.Emitted emitted() {
        Routine r = new Routine(isa);
        definition.accept(r);
        return r.finish();
    }

    private synchronized Function emit() {
        if (function == null) {
            Routine.Emitted e = emitted();
            MemorySegment code = Linux.executable(e.bytes());
            function = new Function(code, code.address() + e.constants());
        }
        return function;
    }
}
