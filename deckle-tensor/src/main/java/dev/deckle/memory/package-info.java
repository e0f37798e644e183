/// Native memory with three lifetimes: of a model, of a step, and of whoever holds a tensor.
package dev.deckle.memory;
