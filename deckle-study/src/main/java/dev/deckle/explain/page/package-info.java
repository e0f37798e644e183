/// An explanation as text, as JSON and as a page.
package dev.deckle.explain.page;
