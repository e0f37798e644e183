/// Files: safetensors, and writing so that a file is there whole or not at all.
package dev.deckle.io;
