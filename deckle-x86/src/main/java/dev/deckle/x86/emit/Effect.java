package dev.deckle.x86.emit;

/// What a step of a loop leaves behind.
public sealed interface Effect {
    Value value();

    /// Numbers in an array.
    record Store(Array to, Value value) implements Effect {}

    /// A number in a register, for the next step.
    record Keep(Value.Held in, Value value) implements Effect {}
}
