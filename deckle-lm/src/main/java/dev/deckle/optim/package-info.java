/// Optimizers, learning rate schedules and gradient clipping.
package dev.deckle.optim;
