/// PyTorch's random stream.
package dev.deckle.random;
