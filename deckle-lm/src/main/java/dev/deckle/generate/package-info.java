/// Text from a model: sampling, decoding with a cache, stop conditions.
package dev.deckle.generate;
