/// The kernels by machine code that Java emits: [dev.deckle.x86.X86Provider] offers them where the machine can run
/// them.
package dev.deckle.x86;
