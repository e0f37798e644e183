package dev.deckle.app;

import dev.deckle.kernel.Door;
import dev.deckle.kernel.Family;
import dev.deckle.tensor.DType;
import dev.deckle.mpi.Mpi;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine;

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
            Train.class, Align.class, Synth.class, Plan.class, Generate.class, Chat.class, Score.class, Tokenize.class,
            Convert.class,
            Explain.class, Parity.class, Data.class, Bench.class, Doctor.class, Completion.class
        },
        synopsisSubcommandLabel = "VERB",
        commandListHeading = "%nVerbs:%n",
        optionListHeading = "%nOptions:%n",
        footerHeading = "%nEach verb explains itself: ",
        footer = "deckle VERB --help",
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
    private final List<Verb> more;

    /// @param more verbs beside those of the annotation
    Deckle(PrintStream out, PrintStream err, Set<String> terminals, List<Verb> more) {
        this.out = out;
        this.err = err;
        this.terminals = terminals;
        this.more = more;
    }

    public static void main(String... args) {
        Locale.setDefault(Locale.ROOT); // numbers read the same everywhere
        // the launcher knows which streams are terminals; without it none is taken for one
        var terminals = Set.of(System.getProperty("deckle.terminals", "").split(","));
        var silence = new PrintStream(OutputStream.nullOutputStream());
        boolean first = !Mpi.launched() || Mpi.rank() == 0; // of several processes one speaks for all
        System.exit(new Deckle(first ? System.out : silence, first ? System.err : silence, terminals, List.of())
                .run(args));
    }

    /// The command in this process, as `main` runs it but without a terminal and without exiting.
    ///
    /// @return the exit code
    public static int run(PrintStream out, PrintStream err, String... args) {
        return new Deckle(out, err, Set.of(), List.of()).run(args);
    }

    int run(String... args) {
        var colour = System.getenv("NO_COLOR") == null;
        var console = new Console(out, err, terminals.contains("out"), terminals.contains("err"), colour);
        try (console) {
            var line = new CommandLine(this);
            more.forEach(line::addSubcommand);
            line.setOut(console.outWriter());
            line.setErr(console.errWriter());
            line.setColorScheme(CommandLine.Help.defaultColorScheme(console.outColour() ? Ansi.ON : Ansi.OFF));
            line.setExpandAtFiles(false); // a prompt may begin with @
            line.setParameterExceptionHandler((e, _) -> Errors.usage(console, e));
            line.setExecutionStrategy(parsed -> execute(console, parsed));
            return line.execute(args);
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
        try {
            options.applyThreads();
            if (verb.computes()) {
                options.applyKernels();
                warnIfSlow(console);
            }
            return verb.run(console);
        } catch (ParameterException e) {
            throw e; // comes back to the handler of wrong usage
        } catch (Throwable e) { // an Error too: whatever happens, the user reads one line
            return Errors.failure(console, e, options.verbose());
        }
    }

    /// Slow code never runs in silence.
    private static void warnIfSlow(Console console) {
        Door door = Door.current();
        String slow = Arrays.stream(Family.values())
                .filter(f -> door.of(f, DType.F32).name().equals("scalar"))
                .map(f -> f.name().toLowerCase(Locale.ROOT))
                .collect(Collectors.joining(", "));
        if (!slow.isEmpty()) {
            console.log("SLOW: plain loops compute " + slow + "; deckle doctor says why");
        }
    }

    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            var version = Deckle.class.getModule().getDescriptor().rawVersion().orElse("of an unknown version");
            var system = System.getProperty("os.name") + " " + System.getProperty("os.arch");
            return new String[] {"deckle " + version, "Java " + Runtime.version() + ", " + system};
        }
    }
}
