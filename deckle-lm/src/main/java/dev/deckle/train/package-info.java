/// What a training run leaves behind: its metrics, for programs and for TensorBoard.
package dev.deckle.train;
