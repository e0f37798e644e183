package dev.deckle.app;

import dev.deckle.data.Distribution;
import dev.deckle.data.LongGenerator;
import java.util.Iterator;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/// The flags that ask for random integers.
final class Generated {
    @Option(names = "--generate", paramLabel = "SEED,COUNT", converter = Stream.class,
            description = "so many random integers; the same seed, the same numbers")
    private Stream stream;

    @Option(names = "--distribution", paramLabel = "NAME", converter = Named.class, completionCandidates = Labels.class,
            description = "how they are spread: ${COMPLETION-CANDIDATES}; default: uniform")
    private Distribution distribution;

    /// The integers, if there shall be any.
    ///
    /// @param verb whose flags these are
    Optional<LongGenerator> integers(Verb verb) {
        if (stream == null) {
            if (distribution != null) {
                throw verb.wrongUsage("--distribution says how --generate SEED,COUNT spreads its integers: give both");
            }
            return Optional.empty();
        }
        Distribution spread = distribution == null ? Distribution.UNIFORM : distribution;
        try {
            return Optional.of(new LongGenerator(stream.seed, stream.count, spread));
        } catch (IllegalArgumentException e) {
            throw verb.wrongUsage("--generate " + stream.seed + "," + stream.count + ": " + e.getMessage());
        }
    }

    private record Stream(long seed, long count) implements ITypeConverter<Stream> {
        // picocli makes converters itself, without arguments
        Stream() {
            this(0, 0);
        }

        @Override
        public Stream convert(String text) {
            String[] parts = text.split(",", -1);
            try {
                if (parts.length == 2) {
                    return new Stream(Long.parseLong(parts[0].strip()), Long.parseLong(parts[1].strip()));
                }
            } catch (NumberFormatException _) {
                // told below
            }
            throw new TypeConversionException("'" + text + "' is not SEED,COUNT, two integers such as 1,1000000");
        }
    }

    private static final class Named implements ITypeConverter<Distribution> {
        @Override
        public Distribution convert(String text) {
            try {
                return Distribution.of(text);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }

    private static final class Labels implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return Distribution.labels().iterator();
        }
    }
}
