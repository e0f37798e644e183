package dev.deckle.app;

import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;

/// The root of the command. A verb is a class that extends [Verb] and a line in `subcommands`.
@Command(
        name = "deckle",
        description = "Every part of a large language model, by hand, in Java.",
        mixinStandardHelpOptions = true,
        scope = ScopeType.INHERIT,
        versionProvider = Deckle.Version.class,
        sortOptions = false,
        usageHelpAutoWidth = true,
        subcommands = {
            Train.class, Generate.class, Score.class, Tokenize.class, Completion.class
        },
        synopsisSubcommandLabel = "VERB",
        commandListHeading = "%nVerbs:%n",
        optionListHeading = "%nOptions:%n",
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:done", "1:failed, one line on stderr says why", "2:wrong usage"})
public final class Deckle {
    static final int DONE = 0;
    static final int FAILED = 1;
    static final int USAGE = 2;

    @Mixin
    private final GlobalOptions options = new GlobalOptions();

    private final PrintStream out;
    private final PrintStream err;
    private final Set<String> terminals;

    private Deckle(PrintStream out, PrintStream err, Set<String> terminals) {
        this.out = out;
        this.err = err;
        this.terminals = terminals;
    }

    public static void main(String... args) {
        // the launcher knows which streams are terminals; without it none is taken for one
        var terminals = Set.of(System.getProperty("deckle.terminals", "").split(","));
        System.exit(new Deckle(System.out, System.err, terminals).run(args));
    }

    /// The command in this process, as `main` runs it but without a terminal and without exiting.
    ///
    /// @return the exit code
    public static int run(PrintStream out, PrintStream err, String... args) {
        return new Deckle(out, err, Set.of()).run(args);
    }

    private int run(String... args) {
        var colour = System.getenv("NO_COLOR") == null;
        var console = new Console(out, err, terminals.contains("out"), terminals.contains("err"), colour);
        try {
            var line = new CommandLine(this);
            line.setOut(console.outWriter());
            line.setErr(console.errWriter());
            line.setColorScheme(CommandLine.Help.defaultColorScheme(console.outColour() ? Ansi.ON : Ansi.OFF));
            line.setExpandAtFiles(false); // a prompt may begin with @
            line.setParameterExceptionHandler((e, _) -> Errors.usage(console, e));
            line.setExecutionExceptionHandler((e, _, _) -> {
                throw e;
            });
            line.setExecutionStrategy(parsed -> execute(console, parsed));
            return line.execute(args);
        } catch (Throwable e) { // an Error too: whatever happens, the user reads one line
            return Errors.failure(console, e, options.verbose());
        } finally {
            console.close();
        }
    }

    private int execute(Console console, ParseResult parsed) {
        Integer help = CommandLine.executeHelpRequest(parsed);
        if (help != null) {
            return help;
        }
        var last = parsed;
        while (last.hasSubcommand()) {
            last = last.subcommand();
        }
        CommandLine command = last.commandSpec().commandLine();
        if (!(last.commandSpec().userObject() instanceof Verb verb)) {
            command.usage(command.getErr());
            return USAGE;
        }
        options.check(command);
        console.configure(options.json(), options.verbose());
        if (verb.computes()) {
            options.apply();
        }
        try {
            return verb.run(console);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Exception e) {
            throw new CommandLine.ExecutionException(command, "", e);
        }
    }

    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            var version = Deckle.class.getModule().getDescriptor().rawVersion().orElse("of an unknown version");
            var java = "Java " + Runtime.version() + ", " + System.getProperty("os.name") + " "
                    + System.getProperty("os.arch");
            return new String[] {"deckle " + version, java};
        }
    }
}
