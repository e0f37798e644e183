package dev.deckle.x86.emit;

import static dev.deckle.x86.emit.Asm.Mem.at;

import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Reg;
import dev.deckle.x86.emit.Value.Constant;
import dev.deckle.x86.emit.Value.Held;
import dev.deckle.x86.emit.Value.Stored;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BinaryOperator;

/// A function in the making that goes over arrays: first its arguments are declared, then its loops, each of which
/// becomes instructions at once.
///
/// ```
/// Count n = r.count();
/// Array x = r.floats();
/// Array y = r.floats();
/// r.each(n, y.set(x.load().times(2)));
/// ```
/// becomes `void f(frame)` for `call(n, x, y)`, see [Kernel]. Loops take whole vectors, and what is left of a row, less
/// than a vector, through a mask: the same formula for every element, wherever it lies.
public final class Routine {
    /// What a routine was told, and its own vectors.
    private static final Reg FRAME = Reg.RDI;
    static final Reg CONSTANTS = Reg.RSI;
    private static final Reg LEFT = Reg.RDX;
    private static final Reg TURNS = Reg.RCX;
    private static final Reg[] BASES = {
        Reg.R8, Reg.R9, Reg.R10, Reg.R11, Reg.RBX, Reg.RBP, Reg.R12, Reg.R13, Reg.R14, Reg.R15
    };
    private static final Reg[] SAVED = {Reg.RBX, Reg.RBP, Reg.R12, Reg.R13, Reg.R14, Reg.R15};

    // the frame: arguments of 8 bytes, numbers of 8 bytes that a row has, vectors
    static final int ARGUMENTS = 24;
    private static final int ROW_COUNTS = 8 * ARGUMENTS;
    private static final int VECTORS = 256;
    private static final int VECTOR = 64;
    private static final int MOST_VECTORS = 28;
    static final int FRAME_BYTES = VECTORS + VECTOR * MOST_VECTORS;

    /// Bytes of the masks before the constants.
    private static final int MASKS = 128;
    /// Vectors of a fold that are under way at once, because each waits for the one before it.
    private static final int CHAINS = 4;

    /// A number of elements, in memory.
    public record Count(Mem at) {}

    /// An array that goes on by some elements after each row.
    private record Advance(Reg base, Count stride, int bytes) {}

    private final Asm asm;
    private int arguments;
    private int bases;
    private int vectors;
    private int rowCounts;
    private final List<Advance> advances = new ArrayList<>();
    /// Where the current row's counts go, and come from.
    private final Map<Mem, Reg> columns = new LinkedHashMap<>();
    /// Where each is, by its bits, from the pool on, which lies behind the instructions.
    private final Map<Integer, Integer> constants = new LinkedHashMap<>();
    private final int pool;

    public Routine(Isa isa) {
        asm = new Asm(isa);
        asm.push(SAVED);
        pool = asm.leaAhead(CONSTANTS);
    }

    // ---- arguments, in the order of the call

    private Mem argument() {
        if (arguments == ARGUMENTS) {
            throw new IllegalStateException("too many arguments");
        }
        return at(FRAME, 8 * arguments++);
    }

    private Array array(Array.Form form) {
        Reg base = BASES[bases++];
        asm.mov(base, argument());
        return new Array(base, form);
    }

    private Array array(Array.Form form, Count stride, int bytes) {
        Array a = array(form);
        advances.add(new Advance(a.base(), stride, bytes));
        return a;
    }

    /// The same for each row.
    public Array floats() {
        return array(Array.Form.FLOATS);
    }

    /// With rows `stride` apart.
    public Array floats(Count stride) {
        return array(Array.Form.FLOATS, stride, Float.BYTES);
    }

    public Array halves() {
        return array(Array.Form.HALVES);
    }

    /// Each for two neighbours, with rows `stride` apart.
    public Array twice(Count stride) {
        return array(Array.Form.TWICE, stride, Float.BYTES);
    }

    /// One number for each row.
    public Array column() {
        Array a = array(Array.Form.COLUMN);
        advances.add(new Advance(a.base(), null, Float.BYTES));
        return a;
    }

    public Count count() {
        return new Count(argument());
    }

    /// Of a column of numbers of 64 bits, that of the current row.
    public Count countOfRow() {
        Reg base = BASES[bases++];
        asm.mov(base, argument());
        Mem here = at(FRAME, ROW_COUNTS + 8 * rowCounts++);
        advances.add(new Advance(base, null, Long.BYTES));
        columns.put(here, base);
        return new Count(here);
    }

    /// A float, by its bits.
    public Value scalar() {
        int register = 0;
        asm.broadcast(register, argument());
        return stored(register);
    }

    private Stored stored(int register) {
        if (vectors == MOST_VECTORS) {
            throw new IllegalStateException("too many vectors in memory");
        }
        Mem at = at(FRAME, VECTORS + VECTOR * vectors++);
        asm.store(at, register);
        return new Stored(at);
    }

    // ---- loops

    /// For each of some rows.
    public void rows(Count rows, Runnable row) {
        asm.mov(LEFT, rows.at);
        asm.test(LEFT);
        int none = asm.skipIfZero();
        int start = asm.size();
        columns.forEach((here, base) -> {
            asm.mov(LEFT, at(base, 0));
            asm.mov(here, LEFT);
        });
        row.run();
        for (Advance a : advances) {
            if (a.stride == null) {
                asm.add(a.base, a.bytes);
            } else {
                asm.mov(LEFT, a.stride.at);
                asm.lea(a.base, at(a.base, LEFT, a.bytes, 0));
            }
        }
        asm.dec(rows.at);
        asm.loop(start);
        asm.land(none);
    }

    /// Once, now, with equal numbers in all lanes: for what a row or a call has one of.
    public Value once(Value formula) {
        Held result = held(0);
        keep(result, formula);
        return stored(result.register());
    }

    /// The same, for what is one number of the row.
    public void once(Effect effect) {
        step(0, 0, false, List.of(effect));
    }

    /// For each of `n` elements.
    public void each(Count n, Effect... effects) {
        start(n);
        loop(effects);
        rest(0, List.of(effects));
    }

    /// For the elements from `from` up to `to`.
    public void each(Count from, Count to, Effect... effects) {
        asm.mov(Array.OFFSET, from.at);
        asm.add(Array.OFFSET, Array.OFFSET);
        asm.mov(LEFT, to.at);
        asm.sub(LEFT, from.at);
        loop(effects);
        rest(0, List.of(effects));
    }

    /// For as many elements as make whole vectors.
    public void eachWhole(Count n, Effect... effects) {
        start(n);
        loop(effects);
    }

    public Value sum(Count n, Value term, Effect... effects) {
        return fold(n, 0, Value::plus, term, effects);
    }

    /// All terms joined, in an order that depends on `n` only, beside the effects of each step.
    ///
    /// @param neutral what joins without a trace
    public Value fold(Count n, float neutral, BinaryOperator<Value> join, Value term, Effect... effects) {
        List<List<Effect>> steps = new ArrayList<>();
        List<Held> chains = new ArrayList<>();
        for (int i = 0; i < CHAINS; i++) {
            Held chain = held(i);
            chains.add(chain);
            keep(chain, Value.of(neutral));
            List<Effect> all = new ArrayList<>(List.of(effects));
            all.add(new Effect.Keep(chain, join.apply(chain, term)));
            steps.add(all);
        }
        start(n);
        asm.mov(TURNS, LEFT);
        asm.shiftRight(TURNS, log2(CHAINS * asm.isa.lanes));
        turns(CHAINS, steps);
        asm.mov(TURNS, LEFT);
        asm.shiftRight(TURNS, log2(asm.isa.lanes));
        asm.and(TURNS, CHAINS - 1);
        turns(CHAINS, steps.subList(0, 1));
        rest(CHAINS, steps.getFirst());
        for (int apart = 1; apart < CHAINS; apart *= 2) {
            for (int i = 0; i < CHAINS; i += 2 * apart) {
                keep(chains.get(i), join.apply(chains.get(i), chains.get(i + apart)));
            }
        }
        Held all = chains.getFirst();
        exchanges(all).forEach(other -> keep(all, join.apply(all, other)));
        return stored(all.register());
    }

    /// A vector with its halves exchanged, its quarters, and so on down to neighbours: joined with each of them in
    /// turn, it has the same number in all lanes.
    private List<Value> exchanges(Value v) {
        List<Value> all = new ArrayList<>();
        if (asm.isa == Isa.AVX512) {
            all.add(new Value.Binary(Asm.VSHUFF32X4, 0x4E, v, v));
            all.add(new Value.Binary(Asm.VSHUFF32X4, 0xB1, v, v));
        } else {
            all.add(new Value.Binary(Asm.VPERM2F128, 0x01, v, v));
        }
        all.add(new Value.Binary(Asm.VSHUFPS, 0x4E, v, v));
        all.add(new Value.Binary(Asm.VSHUFPS, 0xB1, v, v));
        return all;
    }

    private void start(Count n) {
        asm.zero(Array.OFFSET);
        asm.mov(LEFT, n.at);
    }

    /// Whole vectors, one in a turn.
    private void loop(Effect... effects) {
        asm.mov(TURNS, LEFT);
        asm.shiftRight(TURNS, log2(asm.isa.lanes));
        turns(0, List.of(List.of(effects)));
    }

    /// As many turns as the last result, each of some steps, one vector apart.
    private void turns(int held, List<List<Effect>> steps) {
        int none = asm.skipIfZero();
        int turn = asm.size();
        for (int i = 0; i < steps.size(); i++) {
            step(held, i, false, steps.get(i));
        }
        asm.add(Array.OFFSET, 2 * asm.isa.lanes * steps.size());
        asm.dec(TURNS);
        asm.loop(turn);
        asm.land(none);
    }

    /// Less than a vector.
    private void rest(int held, List<Effect> effects) {
        asm.and(LEFT, asm.isa.lanes - 1);
        int none = asm.skipIfZero();
        asm.mov(LEFT, at(CONSTANTS, LEFT, Long.BYTES, 0));
        if (asm.isa == Isa.AVX2) {
            asm.add(LEFT, CONSTANTS);
        }
        asm.mask(LEFT);
        step(held, 0, true, effects);
        asm.land(none);
    }

    private void step(int held, int ahead, boolean masked, List<Effect> effects) {
        new Step(asm, registers() - held, this::constant, ahead, masked).emit(effects);
    }

    private void keep(Held in, Value value) {
        step(CHAINS, 0, false, List.of(new Effect.Keep(in, value)));
    }

    private Held held(int i) {
        return new Held(registers() - 1 - i);
    }

    private int registers() {
        return asm.isa == Isa.AVX512 ? 32 : Asm.MASK_VECTOR;
    }

    private static int log2(int n) {
        return Integer.numberOfTrailingZeros(n);
    }

    // ---- the end, and the constants behind it

    private int constant(Constant c) {
        return constants.computeIfAbsent(c.bits(), _ -> MASKS + asm.isa.bytes() * constants.size());
    }

    public Finished finish() {
        asm.pop(SAVED);
        asm.vzeroupper();
        asm.ret();
        int end = asm.size();
        asm.align(VECTOR);
        asm.land(pool);
        int lanes = asm.isa.lanes;
        for (int left = 0; left < lanes; left++) { // the mask of so many lanes, or where it is
            asm.put32(asm.isa == Isa.AVX512 ? (1 << left) - 1 : Long.BYTES * lanes + 4 * (lanes - left));
            asm.put32(0);
        }
        for (int i = 0; i < 2 * lanes && asm.isa == Isa.AVX2; i++) {
            asm.put32(i < lanes ? -1 : 0);
        }
        for (int bits : constants.keySet()) {
            for (int i = 0; i < lanes; i++) {
                asm.put32(bits);
            }
        }
        return new Finished(asm.bytes(), end, arguments);
    }

    /// @param end of the instructions
    /// @param arguments how many there are
    public record Finished(byte[] bytes, int end, int arguments) {}
}
