/// Matrix products by emitted machine code: [dev.deckle.x86.X86Provider] offers them where the machine can run them.
package dev.deckle.x86;
