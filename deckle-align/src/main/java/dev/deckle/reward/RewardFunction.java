package dev.deckle.reward;

import com.google.gson.JsonElement;
import java.util.List;
import java.util.Map;

/// Judges completions.
///
/// A class of one's own, in a single file that `--reward Short.java` compiles and runs:
///
/// ```java
/// public class Short implements dev.deckle.reward.RewardFunction {
///     public double[] rewards(java.util.List<Sample> samples) {
///         return samples.stream().mapToDouble(s -> s.completion().length() <= 80 ? 1 : 0).toArray();
///     }
/// }
/// ```
///
/// - **Shapes**: n samples to n rewards, in their order; a sample's place says nothing about its group
/// - **None**: NaN is no reward, for a sample that is none of this function's business
/// - **Failures**: whatever it throws costs rewards, never the run ([RewardPanel])
/// - **Threads**: one call at a time, not always on the same thread; a call that overran its time is interrupted, and
///   the next may begin while it still runs
/// - **No sandbox**: it may do what the process may do, `System.exit` included; run only code that you trust
@FunctionalInterface
public interface RewardFunction {
    /// A completion to be judged. A [RewardPanel] gives each function a copy of its own.
    ///
    /// @param prompt what the model was given, as text
    /// @param completion what it wrote, as text
    /// @param promptIds the same as ids
    /// @param completionIds the same as ids
    /// @param columns what else the row of the data set holds (answer, level, ...), as JSON
    record Sample(String prompt, String completion, int[] promptIds, int[] completionIds,
            Map<String, JsonElement> columns) {}

    /// One reward a sample; NaN for none: the sample then does not count in its group's statistics for this function.
    double[] rewards(List<Sample> samples);

    /// What metrics and tables call it: by default the name of its class, `reward` where that has none.
    default String name() {
        Class<?> type = getClass();
        return type.isHidden() || type.isSynthetic() || type.isAnonymousClass() ? "reward" : type.getSimpleName();
    }

    /// Lets go of what it holds; called once, when no more is to be judged.
    default void close() {}
}
