/// Text to learn from: documents, tokens on disk, batches. And the median of more numbers than memory holds.
package dev.deckle.data;
