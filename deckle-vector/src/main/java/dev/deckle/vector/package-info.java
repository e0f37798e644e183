/// Kernels on the Vector API, the only code that imports `jdk.incubator.vector`.
package dev.deckle.vector;
