package dev.deckle.app;

import com.google.gson.JsonObject;
import dev.deckle.data.LongFile;
import dev.deckle.data.LongGenerator;
import dev.deckle.data.LongSource;
import dev.deckle.data.MedianListener;
import dev.deckle.data.StreamMedian;
import dev.deckle.kernel.Team;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// The median of a file that may be larger than the memory. The launcher gives it a Java heap of its own, a small one.
@Command(
        name = "median",
        description = "The exact median of signed 64-bit integers, of as many as there are, in little memory.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle data median numbers.bin --memory 32MB",
            "  ./deckle data median --generate 1,10000000000     ten billion, on no disk",
            "  ./deckle data median --generate 7,1000001 --distribution normal --json"
        })
final class DataMedian extends Verb {
    @Parameters(paramLabel = "FILE", arity = "0..1", description = "signed 64-bit integers, little endian")
    private Path file;

    @Mixin
    private final Generated generated = new Generated();

    @Option(names = "--memory", paramLabel = "SIZE", defaultValue = "32MB", converter = ByteSize.class,
            description = "for counters, gathered numbers and read buffers together; 1 MB is 1,000,000 bytes, "
                    + "the least is 24B; default: ${DEFAULT-VALUE}")
    private long memory;

    @Override
    boolean computes() {
        return false;
    }

    @Override
    int run(Console console) throws IOException {
        Optional<LongGenerator> numbers = generated.integers(this);
        if (numbers.isPresent() == (file != null)) {
            throw wrongUsage("give either a FILE of integers or --generate SEED,COUNT");
        }
        if (memory < StreamMedian.LEAST) {
            throw wrongUsage(String.format("--memory: %,d bytes are too few, it takes at least %d: a number to read "
                    + "and two counters", memory, StreamMedian.LEAST));
        }
        StreamMedian median = new StreamMedian(memory, Team.shared());
        if (numbers.isPresent()) {
            report(console, median, numbers.get());
        } else {
            try (LongFile integers = LongFile.open(file)) {
                report(console, median, integers);
            }
        }
        return Deckle.DONE;
    }

    private static void report(Console console, StreamMedian median, LongSource source) throws IOException {
        Found found;
        try (LiveLine live = console.live()) {
            long start = System.nanoTime();
            StreamMedian.Result result = median.of(source, new Progress(live, source.count(), console));
            found = new Found(result, (System.nanoTime() - start) * 1e-9);
        }
        if (console.json()) {
            console.emit(found.json());
        } else {
            found.print(console);
        }
    }

    /// @param seconds from the first number read to the median
    private record Found(StreamMedian.Result result, double seconds) {
        long bytesPerSecond() {
            return Math.round(result.passes() * 8.0 * result.count() / seconds);
        }

        JsonObject json() {
            JsonObject o = new JsonObject();
            o.addProperty("count", result.count());
            o.addProperty("median", result.median());
            o.addProperty("lower", result.lower());
            o.addProperty("upper", result.upper());
            o.addProperty("passes", result.passes());
            o.addProperty("seconds", seconds);
            o.addProperty("bytes_per_second", bytesPerSecond());
            o.addProperty("memory_bytes", result.memory());
            o.addProperty("max_heap_bytes", Runtime.getRuntime().maxMemory());
            ThisProcess.peakBytes().ifPresent(peak -> o.addProperty("peak_resident_bytes", peak));
            return o;
        }

        void print(Console console) {
            console.result(String.format(Locale.ROOT, "median %s of %,d integers%s", result.median().toPlainString(),
                    result.count(),
                    result.lower() == result.upper() ? ""
                            : ", the mean of " + result.lower() + " and " + result.upper()));
            console.result(String.format(Locale.ROOT, "%d %s in %.1f s, %.2f GB/s; %,.2f MB for counters and numbers, "
                    + "at most %,.0f MB of Java heap%s", result.passes(), result.passes() == 1 ? "pass" : "passes",
                    seconds, bytesPerSecond() * 1e-9, result.memory() * 1e-6, Runtime.getRuntime().maxMemory() * 1e-6,
                    ThisProcess.peakBytes().stream()
                            .mapToObj(p -> String.format(Locale.ROOT, ", %,.0f MB for the whole process",
                                    p * 1e-6))
                            .findFirst().orElse("")));
        }
    }

    /// What the user sees of a pass while it runs, and what `-v` tells of it afterwards.
    private static final class Progress implements MedianListener {
        private static final long SILENT_NANOS = 500_000_000L; // a rate from less is noise

        private final LiveLine live;
        private final long count;
        private final Console console;
        private int pass;
        private long began;

        Progress(LiveLine live, long count, Console console) {
            this.live = live;
            this.count = count;
            this.console = console;
        }

        @Override
        public void reading(int pass, long done) {
            long now = System.nanoTime();
            if (pass != this.pass) {
                this.pass = pass;
                began = now;
            }
            if (now - began < SILENT_NANOS) {
                return;
            }
            double rate = done * 8.0 / (now - began);
            Duration left = Duration.ofNanos((long) ((count - done) * 8.0 / rate));
            live.show(() -> String.format(Locale.ROOT, "pass %d · %d %% · %.2f GB/s · %s left of it", pass,
                    100 * done / count, rate, LiveLine.span(left)));
        }

        @Override
        public void passed(Pass pass) {
            console.detail(switch (pass) {
                case Count c -> String.format(Locale.ROOT, "pass %d: counted from %d to %d in %,d buckets of 2^%d: "
                        + "the median is in bucket %,d, with %,d numbers; %,d are below", c.number(), c.low(), c.high(),
                        c.counters(), c.shift(), c.bucket(), c.left(), c.below());
                case Gather g -> String.format(Locale.ROOT, "pass %d: gathered the %,d numbers from %d to %d",
                        g.number(), g.left(), g.low(), g.high());
                case Part p -> String.format(Locale.ROOT, "pass %d: looked for the numbers on both sides of %d",
                        p.number(), p.end());
            });
        }
    }
}
