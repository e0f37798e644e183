package dev.deckle.app;

import java.nio.file.Path;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// A verb of the command. Subclasses declare their options as picocli fields; the flags that every verb has are in
/// [GlobalOptions] and already in force when [#run] is called.
abstract class Verb {
    @Spec
    private CommandSpec spec;

    /// Does the work.
    ///
    /// @return the exit code: [Deckle#DONE], or [Deckle#FAILED] where a result itself is the failure (a parity case
    ///        that
    ///         differs)
    /// @throws Exception what went wrong, with a message for the user: it becomes the one line on stderr
    abstract int run(Console console) throws Exception;

    /// Arguments that do not go together, to be thrown: exit code 2.
    final ParameterException wrongUsage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    /// What a model made go wrong, with its folder: the model itself does not know where it came from.
    static IllegalStateException of(Path model, RuntimeException e) {
        boolean named = String.valueOf(e.getMessage()).startsWith(model.toString());
        return new IllegalStateException(named ? e.getMessage() : model + ": " + e.getMessage(), e);
    }

    final CommandSpec spec() {
        return spec;
    }

    /// Whether the verb needs kernels. One that does not starts without them.
    boolean computes() {
        return true;
    }
}
