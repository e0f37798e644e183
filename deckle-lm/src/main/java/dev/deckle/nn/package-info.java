/// The layers of language models, each asking a [Weights] scope for its parameters.
package dev.deckle.nn;
