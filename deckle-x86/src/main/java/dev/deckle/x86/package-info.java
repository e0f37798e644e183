/// Matrix products by machine code that this package writes itself.
package dev.deckle.x86;
