package dev.deckle.x86.emit;

import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Op;
import dev.deckle.x86.emit.Value.*;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;

/// One step of a loop: the instructions that compute some formulas for one vector, and which register holds what.
///
/// A value is computed where it is first needed and leaves its register with its last use. What a step stores, it
/// stores when all is computed: arrays may lie in the same place.
final class Step {
    private final Asm asm;
    private final ToIntFunction<Constant> constants;
    /// How many vectors after the current one this step is.
    private final int ahead;
    /// Whether there is less than a vector: the lanes of the mask alone are read and written.
    private final boolean masked;

    private final BitSet free = new BitSet();
    private final Map<Value, Integer> registers = new IdentityHashMap<>();
    /// How often each value will still be read.
    private final Map<Value, Integer> uses = new IdentityHashMap<>();
    private final List<Value> order = new ArrayList<>();
    /// Registers of constants that one instruction needs.
    private final List<Integer> borrowed = new ArrayList<>();

    /// @param registers how many there are for this step, from the first on
    /// @param constants where the vector of a constant is, in bytes from [Routine#CONSTANTS]
    Step(Asm asm, int registers, ToIntFunction<Constant> constants, int ahead, boolean masked) {
        this.asm = asm;
        this.constants = constants;
        this.ahead = ahead;
        this.masked = masked;
        free.set(0, registers);
    }

    void emit(List<Effect> effects) {
        effects.forEach(e -> plan(e.value()));
        order.forEach(this::compute);
        for (Effect e : effects) {
            switch (e) {
                case Effect.Store s -> store(s.to(), read(s.value()));
                case Effect.Keep k -> keep(k.in().register(), read(k.value()));
            }
            done(e.value());
        }
    }

    // ---- what is computed, and when

    private void plan(Value v) {
        if (uses.merge(v, 1, Integer::sum) > 1 || lies(v)) {
            return;
        }
        switch (v) {
            case Constant _, Stored _, Held _, Load _ -> {}
            case Unary u -> plan(u.a());
            case Shift s -> plan(s.a());
            case Binary b -> {
                plan(b.a());
                plan(b.b());
            }
            case Fma f -> {
                plan(f.a());
                plan(f.b());
                plan(f.c());
            }
            case Choose c -> {
                plan(c.condition().x());
                plan(c.condition().y());
                plan(c.yes());
                plan(c.no());
            }
        }
        order.add(v);
    }

    /// Whether a value is there without an instruction.
    private static boolean lies(Value v) {
        return inMemory(v) || v instanceof Held;
    }

    private static boolean inMemory(Value v) {
        return v instanceof Constant || v instanceof Stored;
    }

    // ---- registers

    private int take() {
        int register = free.nextSetBit(0);
        if (register < 0) {
            throw new IllegalStateException("a formula needs more registers than " + asm.isa.title + " has");
        }
        free.clear(register);
        return register;
    }

    /// The register of a value. What lies in memory comes to one until the instruction is [#done].
    private int read(Value v) {
        if (v instanceof Held h) {
            return h.register();
        }
        if (inMemory(v)) {
            int register = take();
            borrowed.add(register);
            asm.load(register, memory(v));
            return register;
        }
        return registers.get(v);
    }

    private Mem memory(Value v) {
        return v instanceof Constant c ? Mem.at(Routine.CONSTANTS, constants.applyAsInt(c)) : ((Stored) v).at();
    }

    /// Whether the instruction that reads it now is the last.
    private boolean dies(Value v) {
        return !lies(v) && uses.get(v) == 1;
    }

    /// Gives back the registers that an instruction has read for the last time, before it takes one for its result: an
    /// instruction may write where it reads.
    private void done(Value... operands) {
        for (Value v : operands) {
            if (uses.merge(v, -1, Integer::sum) == 0 && !lies(v)) {
                free.set(registers.get(v));
            }
        }
        borrowed.forEach(free::set);
        borrowed.clear();
    }

    /// `dst = op(a, b)`, with b wherever it lies.
    private void emit(Op op, int dst, int a, Value b, int imm) {
        if (inMemory(b)) {
            asm.vector(op, dst, a, memory(b));
        } else {
            asm.vector(op, dst, a, read(b));
        }
        asm.immediate(imm);
    }

    // ---- instructions

    private void compute(Value v) {
        registers.put(v, switch (v) {
            case Constant _, Stored _, Held _ -> throw new AssertionError(v);
            case Load l -> load(l.from());
            case Unary u -> {
                int a = read(u.a());
                done(u.a());
                int dst = take();
                asm.vector(u.op(), dst, 0, a);
                asm.immediate(u.imm());
                yield dst;
            }
            case Shift s -> {
                int a = read(s.a());
                done(s.a());
                int dst = take();
                asm.vector(s.op(), s.extension(), dst, a);
                asm.immediate(s.bits());
                yield dst;
            }
            case Binary b -> binary(b);
            case Fma f -> fma(f);
            case Choose c -> choose(c);
        });
    }

    private int load(Array from) {
        int dst = take();
        Mem at = from.memory(ahead, asm.isa);
        switch (from.form()) {
            case FLOATS -> {
                if (masked) {
                    asm.loadMasked(dst, at);
                } else {
                    asm.load(dst, at);
                }
            }
            case HALVES -> asm.vector(Asm.VPMOVZXWD, dst, 0, whole(at));
            case TWICE -> asm.vector(Asm.VPMOVZXDQ, dst, 0, whole(at));
            case COLUMN -> asm.broadcast(dst, at);
        }
        return dst;
    }

    private Mem whole(Mem at) {
        if (masked) {
            throw new IllegalStateException("numbers of this form are read and written as whole vectors only");
        }
        return at;
    }

    private void store(Array to, int src) {
        Mem at = to.memory(ahead, asm.isa);
        switch (to.form()) {
            case FLOATS -> {
                if (masked) {
                    asm.storeMasked(at, src);
                } else {
                    asm.store(at, src);
                }
            }
            case HALVES -> {
                int spare = take();
                asm.storeHalves(whole(at), src, spare);
                free.set(spare);
            }
            case COLUMN -> asm.storeFirst(at, src);
            case TWICE -> throw new IllegalArgumentException("only to be read");
        }
    }

    private void keep(int register, int src) {
        if (masked) {
            asm.blendByMask(register, register, src);
        } else {
            asm.move(register, src);
        }
    }

    private int binary(Binary v) {
        boolean turn = inMemory(v.a()) && !inMemory(v.b()) && Asm.COMMUTATIVE.contains(v.op());
        Value a = turn ? v.b() : v.a();
        Value b = turn ? v.a() : v.b();
        int first = read(a);
        int second = inMemory(b) ? -1 : read(b);
        done(a, b);
        int dst = take();
        if (second < 0) {
            asm.vector(v.op(), dst, first, memory(b));
        } else {
            asm.vector(v.op(), dst, first, second);
        }
        asm.immediate(v.imm());
        return dst;
    }

    /// The instruction adds to its first operand, or multiplies it: no copy where that is read for the last time.
    private int fma(Fma v) {
        boolean turn = inMemory(v.a()) && !inMemory(v.b());
        Value a = turn ? v.b() : v.a();
        Value b = turn ? v.a() : v.b();
        Value c = v.c();
        int factor = read(a);
        int dst;
        if (dies(c) && c != a && c != b) {
            dst = registers.get(c);
            emit(v.op(), dst, factor, b, Asm.NO_IMMEDIATE);
        } else if (dies(a) && !inMemory(b) && a != b && a != c) {
            dst = factor;
            emit(Asm.multiplying(v.op()), dst, read(b), c, Asm.NO_IMMEDIATE);
        } else {
            dst = take();
            if (inMemory(c)) {
                asm.load(dst, memory(c));
            } else {
                asm.move(dst, read(c));
            }
            emit(v.op(), dst, factor, b, Asm.NO_IMMEDIATE);
        }
        done(a, b, c);
        free.clear(dst);
        return dst;
    }

    private int choose(Choose v) {
        Condition is = v.condition();
        int x = read(is.x());
        if (asm.isa == Isa.AVX512) {
            if (inMemory(is.y())) {
                asm.compare(x, memory(is.y()), is.how().imm);
            } else {
                asm.compare(x, read(is.y()), is.how().imm);
            }
            done(is.x(), is.y());
            int no = read(v.no());
            int yes = read(v.yes());
            done(v.no(), v.yes());
            int dst = take();
            asm.blendCompared(dst, no, yes);
            return dst;
        }
        int chosen = take();
        emit(Asm.VCMPPS, chosen, x, is.y(), is.how().imm);
        done(is.x(), is.y());
        int no = read(v.no());
        int yes = read(v.yes());
        done(v.no(), v.yes());
        free.set(chosen);
        int dst = take();
        asm.blend(dst, no, yes, chosen);
        return dst;
    }
}
