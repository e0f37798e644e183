package dev.deckle.app;

import com.google.gson.JsonObject;
import dev.deckle.data.LongFile;
import dev.deckle.data.LongGenerator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// Writes the integers that `data median --generate` makes up.
@Command(
        name = "integers",
        description = "Write a file of random signed 64-bit integers, little endian.",
        footerHeading = "%nExamples:%n",
        footer = {
            "  ./deckle data integers numbers.bin --generate 1,100000000",
            "  ./deckle data integers bell.bin --generate 7,1000000 --distribution normal"
        })
final class DataIntegers extends Verb {
    @Parameters(paramLabel = "FILE", description = "the file to write; there whole or not at all")
    private Path file;

    @Mixin
    private final Generated generated = new Generated();

    @Option(names = "--overwrite", description = "replace FILE if it is there")
    private boolean overwrite;

    @Override
    boolean computes() {
        return false;
    }

    @Override
    int run(Console console) throws IOException {
        LongGenerator integers = generated.integers(this)
                .orElseThrow(() -> wrongUsage("--generate SEED,COUNT is needed: which integers, and how many"));
        if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
                throw new IOException(file + ": not a regular file, so it is not replaced");
            }
            if (!overwrite) {
                throw new IOException(file + ": exists already; --overwrite replaces it");
            }
        }
        long start = System.nanoTime();
        try (LiveLine live = console.live()) {
            Interruption.watched(stop -> {
                LongFile.write(file, integers, written -> {
                    if (stop.getAsBoolean()) {
                        throw new IllegalStateException(file + ": interrupted, nothing is written");
                    }
                    long nanos = System.nanoTime() - start;
                    if (nanos < 500_000_000L) {
                        return; // a rate from less is noise
                    }
                    live.show(() -> String.format(Locale.ROOT, "%,d of %,d integers · %.2f GB/s", written,
                            integers.count(), written * 8.0 / nanos));
                });
                return file;
            });
        }
        report(console, integers, (System.nanoTime() - start) * 1e-9);
        return Deckle.DONE;
    }

    private void report(Console console, LongGenerator integers, double seconds) {
        if (console.json()) {
            JsonObject o = new JsonObject();
            o.addProperty("file", file.toString());
            o.addProperty("seed", integers.seed());
            o.addProperty("count", integers.count());
            o.addProperty("distribution", integers.distribution().label());
            o.addProperty("bytes", integers.count() * Long.BYTES);
            o.addProperty("seconds", seconds);
            console.emit(o);
        } else {
            console.result(String.format(Locale.ROOT, "%s: %,d %s integers of seed %d, %,d bytes in %.1f s", file,
                    integers.count(), integers.distribution().label(), integers.seed(), integers.count() * Long.BYTES,
                    seconds));
        }
    }
}
