package dev.deckle.lm;

import dev.deckle.generate.Sampler;
import dev.deckle.nn.KvCache;
import java.util.List;

/// How an [Answer] is made.
///
/// @param sampler chooses each token
/// @param maxNewTokens after which it ends
/// @param maxLength of prompt and answer together, after which it ends too
/// @param minNewTokens before which no end token comes
/// @param stop texts before which it ends
/// @param seed the same seed, the same answer
/// @param kvCache how keys and values are kept
public record Settings(
        Sampler sampler, int maxNewTokens, int maxLength, int minNewTokens, List<String> stop, long seed,
        KvCache.Kind kvCache) {
    public Settings {
        if (maxNewTokens < 0 || minNewTokens < 0) {
            throw new IllegalArgumentException("the numbers of new tokens must not be negative, not " + maxNewTokens
                    + " and " + minNewTokens);
        }
        if (stop.stream().anyMatch(String::isEmpty)) {
            throw new IllegalArgumentException("a stop text must not be empty");
        }
        stop = List.copyOf(stop);
    }

    public Settings with(Sampler other) {
        return new Settings(other, maxNewTokens, maxLength, minNewTokens, stop, seed, kvCache);
    }

    public Settings withTemperature(double temperature) {
        return with(new Sampler(temperature, sampler.topK(), sampler.topP(), sampler.minP(),
                sampler.repetitionPenalty()));
    }

    /// After so many, whatever the prompt's length.
    public Settings withMaxNewTokens(int most) {
        return new Settings(sampler, most, Integer.MAX_VALUE, minNewTokens, stop, seed, kvCache);
    }

    public Settings withMinNewTokens(int least) {
        return new Settings(sampler, maxNewTokens, maxLength, least, stop, seed, kvCache);
    }

    public Settings withStop(String... texts) {
        return new Settings(sampler, maxNewTokens, maxLength, minNewTokens, List.of(texts), seed, kvCache);
    }

    public Settings withSeed(long other) {
        return new Settings(sampler, maxNewTokens, maxLength, minNewTokens, stop, other, kvCache);
    }

    public Settings with(KvCache.Kind kind) {
        return new Settings(sampler, maxNewTokens, maxLength, minNewTokens, stop, seed, kind);
    }
}
