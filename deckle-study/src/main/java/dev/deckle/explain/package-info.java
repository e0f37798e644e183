/// Parts at work on small numbers: what the real classes compute, step by step, as text, as data and as a page.
package dev.deckle.explain;
