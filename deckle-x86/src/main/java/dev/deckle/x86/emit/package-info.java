/// Machine code from Java: an assembler, and functions over arrays that are written as formulas.
package dev.deckle.x86.emit;
