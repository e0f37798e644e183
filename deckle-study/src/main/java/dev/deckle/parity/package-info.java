/// Golden cases: what PyTorch computed, against what our parts compute, on every backend.
package dev.deckle.parity;
