/// The command `deckle`: one class a verb, registered in [Deckle].
///
/// Results go to stdout, everything else to stderr; exit codes are 0 done, 1 failed, 2 wrong usage. All of that is
/// decided in three places: [Console] is how a verb speaks, [GlobalOptions] are the flags that each verb has, and
/// [Errors] turns whatever went wrong into one line.
package dev.deckle.app;
