/// Model families, one file each, with the keys of `config.json` and the weight names of Hugging Face.
package dev.deckle.models;
