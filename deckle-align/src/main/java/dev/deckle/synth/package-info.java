/// Data made by models: reasoning forwards and backwards, structured jokes, and preferences between samples.
package dev.deckle.synth;
