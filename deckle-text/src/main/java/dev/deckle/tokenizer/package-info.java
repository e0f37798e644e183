/// Text to token ids and back: any `tokenizer.json`, stage by stage, and byte-level BPE learned.
package dev.deckle.tokenizer;
