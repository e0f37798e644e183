/// The side of the door that knows tensors: splits the work of an operation and hands memory to the kernels.
package dev.deckle.compute;
