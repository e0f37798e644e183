/// JSON files, read with errors that name the file and the key.
package dev.deckle.json;
