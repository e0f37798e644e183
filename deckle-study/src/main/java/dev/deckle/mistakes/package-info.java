/// The parts as a learner writes them: plain textbook versions, and the slips that people really make.
package dev.deckle.mistakes;
