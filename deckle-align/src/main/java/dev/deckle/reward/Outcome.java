package dev.deckle.reward;

import dev.deckle.io.Shown;
import dev.deckle.reward.RewardFunction.Sample;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;

/// What became of one function's call for a batch.
///
/// @param rewards one a sample, finite or NaN
/// @param failed how many samples it failed at, which is no more than have NaN
/// @param message how it failed first; empty where it did not, or where the reason is that its time was over
record Outcome(double[] rewards, long failed, String message) {
    private static final int MOST = 300;

    /// No reward for any of n samples.
    static Outcome none(int n, String message) {
        double[] none = new double[n];
        Arrays.fill(none, Double.NaN);
        return new Outcome(none, n, message);
    }

    /// Calls the function. Where it throws for several samples, each is judged again by itself, so that the one that it
    /// cannot bear does not take the others' rewards along.
    ///
    /// @param over whether its time is over, so that an exception tells of the interrupt and nothing is begun any more
    static Outcome of(RewardFunction function, List<Sample> samples, BooleanSupplier over) {
        int n = samples.size();
        try {
            return checked(function.rewards(samples), n);
        } catch (PartialRewards e) {
            Outcome some = checked(e.rewards, n);
            return new Outcome(some.rewards, some.failed + e.failed, e.getMessage());
        } catch (Throwable e) { // errors too: a user's missing class or endless recursion is no reason to end a run
            if (n == 1 || over.getAsBoolean()) {
                return none(n, over.getAsBoolean() ? "" : said(e));
            }
        }
        double[] rewards = new double[n];
        long failed = 0;
        String message = "";
        for (int i = 0; i < n; i++) {
            Outcome one = over.getAsBoolean() ? none(1, "") : of(function, List.of(samples.get(i)), over);
            rewards[i] = one.rewards[0];
            failed += one.failed;
            message = message.isEmpty() ? one.message : message;
        }
        return new Outcome(rewards, failed, message);
    }

    /// Rewards that may be used: as many as samples, and finite as the f32 that training makes of them.
    private static Outcome checked(double[] given, int n) {
        if (given == null) {
            return none(n, "null in place of rewards");
        }
        if (given.length != n) {
            return none(n, given.length + " rewards for " + n + " samples");
        }
        double[] rewards = given.clone();
        long failed = 0;
        String message = "";
        for (int i = 0; i < n; i++) {
            if (Float.isInfinite((float) rewards[i])) {
                message = message.isEmpty() ? "a reward of " + rewards[i] : message;
                rewards[i] = Double.NaN;
                failed++;
            }
        }
        return new Outcome(rewards, failed, message);
    }

    /// A failure on one line, with the place in the user's code where one is known.
    static String said(Throwable e) {
        String text = e.getClass().getSimpleName() + (e.getMessage() == null ? "" : ": " + e.getMessage());
        String place = Arrays.stream(e.getStackTrace())
                .filter(frame -> frame.getModuleName() == null && frame.getFileName() != null)
                .findFirst()
                .map(frame -> " (" + frame.getFileName() + ":" + frame.getLineNumber() + ")")
                .orElse("");
        return Shown.brief(text.strip().replaceAll("\\s*\\R\\s*", " "), MOST) + place;
    }
}
