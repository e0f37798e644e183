package dev.deckle.reward;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonPrimitive;
import dev.deckle.io.Shown;
import java.math.BigDecimal;
import java.util.List;
import java.util.Optional;
import java.util.stream.StreamSupport;

/// 1 where the answer is the one that a column of the data set holds, else 0.
///
/// What counts as the answer: [Answers]. A string must be the same, blanks around it apart; a number the same number,
/// however written; of a list, any element. A row whose column is null gets no reward; one without the column fails.
record ExactMatch(String column) implements RewardFunction {
    @Override
    public double[] rewards(List<Sample> samples) {
        return samples.stream().mapToDouble(this::reward).toArray();
    }

    private double reward(Sample s) {
        JsonElement expected = s.columns().get(column);
        if (expected == null) {
            throw new IllegalArgumentException("the row has no column " + Shown.brief(column) + "; it has "
                    + Shown.brief(s.columns().keySet().toString()));
        }
        if (expected instanceof JsonNull) {
            return Double.NaN;
        }
        Optional<String> answer = Answers.of(s);
        boolean right = expected instanceof JsonArray any
                ? StreamSupport.stream(any.spliterator(), false).filter(e -> matches(answer, e)).count() > 0
                : matches(answer, expected);
        return right ? 1 : 0;
    }

    private boolean matches(Optional<String> answer, JsonElement expected) {
        if (!(expected instanceof JsonPrimitive p)) {
            throw new IllegalArgumentException("column " + Shown.brief(column)
                    + ": expected a string, a number, true or false, or a list of them, not "
                    + Shown.brief(expected.toString()));
        }
        if (answer.isEmpty()) {
            return false;
        }
        if (!p.isNumber()) {
            return answer.get().equals(p.getAsString().strip());
        }
        try {
            return new BigDecimal(answer.get()).compareTo(p.getAsBigDecimal()) == 0;
        } catch (NumberFormatException _) {
            return false;
        }
    }

    @Override
    public String name() {
        return "exact_match";
    }
}
