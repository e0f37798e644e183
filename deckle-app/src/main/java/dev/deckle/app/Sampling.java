package dev.deckle.app;

import dev.deckle.generate.Sampler;
import picocli.CommandLine.Option;

/// The flags that say how tokens are drawn, and what holds where neither they nor the model say anything.
final class Sampling {
    static final Sampler DEFAULT = new Sampler(0.8, 0, 1, 0, 1);

    @Option(names = "--temperature", paramLabel = "X",
            description = "below 1 plainer, above 1 wilder, 0 always the likeliest; default: 0.8, with beams 0")
    Double temperature;

    @Option(names = "--top-k", paramLabel = "K", description = "draw from the K likeliest; 0: from all; default: 0")
    Integer topK;

    @Option(names = "--top-p", paramLabel = "P",
            description = "draw from the fewest that are P likely together; default: 1")
    Double topP;

    @Option(names = "--min-p", paramLabel = "P",
            description = "leave out what is less than P times as likely as the likeliest; default: 0")
    Double minP;

    @Option(names = "--repetition-penalty", paramLabel = "X",
            description = "above 1: less of what was there before; default: 1")
    Double repetitionPenalty;

    /// @param base where no flag says otherwise
    /// @throws picocli.CommandLine.ParameterException if a flag is out of its range
    Sampler over(Sampler base, Verb verb) {
        try {
            return new Sampler(or(temperature, base.temperature()), or(topK, base.topK()), or(topP, base.topP()),
                    or(minP, base.minP()), or(repetitionPenalty, base.repetitionPenalty()));
        } catch (IllegalArgumentException e) { // names the setting as the flag, without the dashes
            throw verb.wrongUsage("--" + e.getMessage());
        }
    }

    static <T> T or(T flag, T otherwise) {
        return flag != null ? flag : otherwise;
    }
}
