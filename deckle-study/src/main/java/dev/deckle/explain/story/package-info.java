/// What each part does, told from what it did.
package dev.deckle.explain.story;
