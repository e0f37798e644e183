/// A model as a program uses it: text in, text out, conversations.
package dev.deckle.lm;
