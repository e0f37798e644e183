package dev.deckle.reward;

import dev.deckle.reward.RewardFunction.Sample;
import java.util.Optional;

/// Where a completion thinks and where it answers.
///
/// The thoughts end at the last `</think>`; without one all is answer, unless a `<think>` was opened (by the
/// completion, or by the prompt and not closed in it), because what was cut off while thinking has no answer. Within
/// what follows the thoughts, the last `<answer>...</answer>` is the answer if there is one, else all of it. Blanks
/// around an answer do not count.
final class Answers {
    private static final String THINK = "<think>";
    private static final String END_THINK = "</think>";
    private static final String ANSWER = "<answer>";
    private static final String END_ANSWER = "</answer>";

    private Answers() {}

    /// The answer, which may be empty; none where the thoughts do not end.
    static Optional<String> of(Sample s) {
        String text = s.completion();
        int thought = text.lastIndexOf(END_THINK);
        if (thought >= 0) {
            text = text.substring(thought + END_THINK.length());
        } else if (text.contains(THINK) || isOpen(s.prompt())) {
            return Optional.empty();
        }
        int end = text.lastIndexOf(END_ANSWER);
        int start = text.lastIndexOf(ANSWER, end);
        return Optional.of((end >= 0 && start >= 0 ? text.substring(start + ANSWER.length(), end) : text).strip());
    }

    /// Whether the completion is `<think>`, thoughts, `</think>`, answer, in this order: each tag once, blanks allowed
    /// before the first, thoughts and answer not blank. Where the prompt ends with `<think>`, that is the first tag.
    static boolean isWellFormed(Sample s) {
        String text = s.completion().strip();
        if (!s.prompt().stripTrailing().endsWith(THINK)) {
            if (!text.startsWith(THINK)) {
                return false;
            }
            text = text.substring(THINK.length());
        }
        int end = text.indexOf(END_THINK);
        if (end < 0 || text.contains(THINK)) {
            return false;
        }
        String answer = text.substring(end + END_THINK.length());
        return !text.substring(0, end).isBlank() && !answer.isBlank() && !answer.contains(END_THINK);
    }

    private static boolean isOpen(String prompt) {
        return prompt.lastIndexOf(THINK) > prompt.lastIndexOf(END_THINK);
    }
}
