/// Tensors: arrays of numbers with a shape, the operations on them, and how each is recorded.
package dev.deckle.tensor;
