package dev.deckle.x86.emit;

import dev.deckle.kernel.Native;
import dev.deckle.kernel.NativeCall;
import dev.deckle.kernel.Scratch;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/// A function that is defined by what it does with its arguments, see [Routine].
public final class Kernel {
    private static final int FRAME_SLOT = 8;

    private final Isa isa;
    private final Consumer<Routine> definition;
    private final Function function = new Function(this::bytes);
    private int declared;

    public Kernel(Isa isa, Consumer<Routine> definition) {
        this.isa = isa;
        this.definition = definition;
    }

    public Routine.Finished finished() {
        Routine r = new Routine(isa);
        definition.accept(r);
        return r.finish();
    }

    private byte[] bytes() {
        Routine.Finished f = finished();
        declared = f.arguments();
        return f.bytes();
    }

    /// With the arguments in the order in which the definition declares them.
    public void call(long... arguments) {
        MemorySegment code = function.get();
        if (arguments.length != declared) { // the code trusts them
            throw new IllegalArgumentException(declared + " arguments are declared, not " + arguments.length);
        }
        long frame = Scratch.bytes(FRAME_SLOT, Routine.FRAME_BYTES);
        for (int i = 0; i < arguments.length; i++) {
            Native.setLong(frame + 8L * i, arguments[i]);
        }
        NativeCall.call(code, frame, 0, 0, 0, 0, 0);
    }

    /// A scalar argument.
    public static long scalar(double x) {
        return Integer.toUnsignedLong(Float.floatToRawIntBits((float) x));
    }
}
