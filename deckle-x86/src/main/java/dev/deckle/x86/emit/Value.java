package dev.deckle.x86.emit;

import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Op;

/// A vector of floats as a formula, of which [Step] makes instructions: `x.times(rstd).times(w)`.
///
/// A value that is used twice is computed once if it is the same object.
public sealed interface Value {
    /// The same number in all lanes, by its bits.
    record Constant(int bits) implements Value {}

    /// A whole vector in memory, such as an argument that has been spread over the lanes.
    record Stored(Mem at) implements Value {}

    /// What a register holds from one step of a loop to the next.
    record Held(int register) implements Value {}

    /// Numbers of an array.
    record Load(Array from) implements Value {}

    record Unary(Op op, int imm, Value a) implements Value {
        Unary(Op op, Value a) {
            this(op, Asm.NO_IMMEDIATE, a);
        }
    }

    record Binary(Op op, int imm, Value a, Value b) implements Value {
        Binary(Op op, Value a, Value b) {
            this(op, Asm.NO_IMMEDIATE, a, b);
        }
    }

    /// `a b + c`, rounded once, or with other signs.
    record Fma(Op op, Value a, Value b, Value c) implements Value {}

    /// `extension` belongs to the opcode.
    record Shift(Op op, int extension, int bits, Value a) implements Value {}

    /// Lane by lane `yes` where the condition holds.
    record Choose(Condition condition, Value yes, Value no) implements Value {}

    /// `x how y`
    record Condition(Value x, Comparison how, Value y) {
        public Value choose(Value yes, Value no) {
            return new Choose(this, yes, no);
        }
    }

    /// None but the last holds where one side is NaN.
    enum Comparison {
        EQUAL(0x00), LESS(0x11), LESS_OR_EQUAL(0x12), GREATER(0x1E), UNORDERED(0x03);

        final int imm;

        Comparison(int imm) {
            this.imm = imm;
        }
    }

    static Value of(float x) {
        return new Constant(Float.floatToRawIntBits(x));
    }

    // ---- floats

    default Value plus(Value other) {
        return new Binary(Asm.VADDPS, this, other);
    }

    default Value plus(float other) {
        return plus(of(other));
    }

    default Value minus(Value other) {
        return new Binary(Asm.VSUBPS, this, other);
    }

    default Value minus(float other) {
        return minus(of(other));
    }

    default Value times(Value other) {
        return new Binary(Asm.VMULPS, this, other);
    }

    default Value times(float other) {
        return times(of(other));
    }

    default Value over(Value other) {
        return new Binary(Asm.VDIVPS, this, other);
    }

    default Value reciprocal() {
        return of(1).over(this);
    }

    /// `this factor + term`, rounded once.
    default Value fma(Value factor, Value term) {
        return new Fma(Asm.VFMADD231PS, this, factor, term);
    }

    default Value fma(Value factor, float term) {
        return fma(factor, of(term));
    }

    default Value fma(float factor, Value term) {
        return fma(of(factor), term);
    }

    default Value fma(float factor, float term) {
        return fma(of(factor), of(term));
    }

    /// `this factor - term` in the even lanes, `this factor + term` in the odd ones.
    default Value alternately(Value factor, Value term) {
        return new Fma(Asm.VFMADDSUB231PS, this, factor, term);
    }

    /// The larger number, and `other` where one of them is NaN.
    default Value max(Value other) {
        return new Binary(Asm.VMAXPS, this, other);
    }

    /// The smaller number, and `other` where one of them is NaN.
    default Value min(Value other) {
        return new Binary(Asm.VMINPS, this, other);
    }

    default Value sqrt() {
        return new Unary(Asm.VSQRTPS, this);
    }

    default Value abs() {
        return and(Integer.MAX_VALUE);
    }

    default Value negated() {
        return new Binary(Asm.VXORPS, this, new Constant(Integer.MIN_VALUE));
    }

    default Condition is(Comparison how, Value other) {
        return new Condition(this, how, other);
    }

    default Condition is(Comparison how, float other) {
        return is(how, of(other));
    }

    default Condition isNaN() {
        return is(Comparison.UNORDERED, this);
    }

    // ---- their bits

    default Value and(int bits) {
        return new Binary(Asm.VANDPS, this, new Constant(bits));
    }

    default Value or(Value other) {
        return new Binary(Asm.VORPS, this, other);
    }

    default Value shiftLeft(int bits) {
        return new Shift(Asm.VPSLLD, 6, bits, this);
    }

    default Value shiftRight(int bits) {
        return new Shift(Asm.VPSLLD, 2, bits, this);
    }

    /// With copies of the sign.
    default Value shiftRightSigned(int bits) {
        return new Shift(Asm.VPSLLD, 4, bits, this);
    }

    /// Lanes of 64 bits.
    default Value shiftPairsLeft(int bits) {
        return new Shift(Asm.VPSLLQ, 6, bits, this);
    }

    default Value plusBits(Value other) {
        return new Binary(Asm.VPADDD, this, other);
    }

    default Value plusBits(int bits) {
        return plusBits(new Constant(bits));
    }

    default Value minusBits(Value other) {
        return new Binary(Asm.VPSUBD, this, other);
    }

    default Value minusBits(int bits) {
        return minusBits(new Constant(bits));
    }

    /// Integers as floats.
    default Value toFloat() {
        return new Unary(Asm.VCVTDQ2PS, this);
    }

    // ---- lanes

    /// Each pair of neighbours the other way round.
    default Value neighboursSwapped() {
        return new Unary(Asm.VPERMILPS, 0xB1, this);
    }
}
