package dev.deckle.app;

/// A verb of the command. Subclasses declare their options as picocli fields; the flags that every verb has are in
/// [GlobalOptions] and already in force when [#run] is called.
abstract class Verb {
    /// Does the work.
    ///
    /// @return the exit code: [Deckle#DONE], or [Deckle#FAILED] where a result itself is the failure (a parity case that
    ///         differs)
    /// @throws Exception what went wrong, with a message for the user: it becomes the one line on stderr
    abstract int run(Console console) throws Exception;

    /// Whether the verb needs kernels. One that does not starts without them.
    boolean computes() {
        return true;
    }
}
