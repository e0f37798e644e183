/// Rewards as code: what judges a completion, be it a built-in check, a class of the user's or a process.
package dev.deckle.reward;
