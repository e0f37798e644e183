/// Text to token ids and back: byte-level BPE, learned and read.
package dev.deckle.tokenizer;
