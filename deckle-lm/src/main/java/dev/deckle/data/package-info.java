/// Text to learn from: documents, tokens on disk, batches.
package dev.deckle.data;
