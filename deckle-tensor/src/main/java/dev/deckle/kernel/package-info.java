/// The door to the kernels: the interface that backends implement, their scalar definition, and the worker team.
package dev.deckle.kernel;
