package dev.deckle.app;

import dev.deckle.mpi.Mpi;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine;

/// The flags that every verb has, before or after its name.
final class GlobalOptions {
    @Option(
            names = "--threads",
            paramLabel = "N",
            scope = ScopeType.INHERIT,
            description = "threads that compute; default: one for each processor")
    private Integer threads;

    @Option(
            names = "--no-x86",
            scope = ScopeType.INHERIT,
            description = "without the machine code that Deckle writes itself")
    private boolean noX86;

    @Option(names = "--no-vector", scope = ScopeType.INHERIT, description = "without the Vector API")
    private boolean noVector;

    @Option(
            names = "--json",
            scope = ScopeType.INHERIT,
            description = "results as one JSON object a line, and nothing else on stdout")
    private boolean json;

    @Option(
            names = {"-v", "--verbose"},
            scope = ScopeType.INHERIT,
            description = "say more on stderr")
    private boolean verbose;

    boolean json() {
        return json;
    }

    boolean verbose() {
        return verbose;
    }

    /// @throws ParameterException if a flag asks for what this machine does not have
    void check(CommandLine command) {
        int processors = Runtime.getRuntime().availableProcessors();
        if (threads != null && (threads < 1 || threads > processors)) {
            throw new ParameterException(
                    command, "--threads " + threads + ": 1 to " + processors + " on this machine, one a processor");
        }
    }

    /// Puts the number of threads where the team looks for it. To be called before that is made.
    void applyThreads() {
        if (threads != null) {
            System.setProperty("deckle.threads", threads.toString());
        } else if (Mpi.launched()) { // the processes of a machine share its processors
            int own = Math.max(1, Runtime.getRuntime().availableProcessors() / Mpi.localSize());
            System.setProperty("deckle.threads", Integer.toString(own));
        }
    }

    /// Puts the other flags where the kernels look for them. To be called before the first of them is opened.
    void applyKernels() {
        if (noX86) {
            System.setProperty("deckle.x86", "false");
        }
        if (noVector) {
            System.setProperty("deckle.vector", "false");
        }
    }
}
