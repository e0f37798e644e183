package dev.deckle.optim;

/// The learning rate: up in a line, then down half a cosine to a floor.
///
/// - **Formula**: warm-up peak step / warmup; then floor + (peak - floor) (1 + cos(pi p)) / 2, p from 0 to 1
/// - **Shapes**: a number a step
/// - **Cost**: one cosine
/// - **Source**: Loshchilov and Hutter 2017; Goyal et al. 2017 (warm-up)
/// - **PyTorch**: `CosineAnnealingLR`, `CosineAnnealingWarmRestarts`; Hugging Face's
///   `get_cosine_with_min_lr_schedule...`
/// - **Classic mistake**: a cosine over all steps with the warm-up cut out of it, which begins below the peak; pi left
///   out
///
/// @param peak the highest rate
/// @param floor the last rate
/// @param warmupSteps steps on the way up
public record CosineSchedule(double peak, double floor, int warmupSteps) {
    public CosineSchedule {
        if (warmupSteps < 0) {
            throw new IllegalArgumentException("warmup_steps must be at least 0, not " + warmupSteps);
        }
    }

    /// The rate of `step` (0, 1, ...) when `progress` (0 to 1) of the run has passed: for runs that end by the clock.
    /// The first step already learns.
    public double atProgress(long step, double progress) {
        double warm = Math.min(1, (step + 1.0) / Math.max(1, warmupSteps));
        return warm * cosine(Math.clamp(progress, 0, 1));
    }

    /// The rate of `step` of a run of `totalSteps`, as Hugging Face has it within the run: 0 at step 0, the peak at the
    /// end of the warm-up, the floor at `totalSteps` and after.
    public double at(long step, long totalSteps) {
        if (step < warmupSteps) {
            return peak * step / warmupSteps;
        }
        long down = totalSteps - warmupSteps;
        return cosine(down <= 0 ? 1 : Math.min(1, (step - warmupSteps) / (double) down));
    }

    /// The rate with restarts: after the warm-up a cosine of `period` steps, then again from the peak, each period
    /// `growth` times as long as the one before.
    public double withRestarts(long step, long period, double growth) {
        if (period < 1 || !(growth >= 1)) {
            throw new IllegalArgumentException("restarts need a period of at least 1 and a growth of at least 1, not "
                    + period + " and " + growth);
        }
        if (step < warmupSteps) {
            return peak * step / warmupSteps;
        }
        double since = step - warmupSteps;
        double length = period;
        while (since >= length) {
            since -= length;
            length *= growth;
        }
        return cosine(since / length);
    }

    private double cosine(double progress) {
        return floor + (peak - floor) * 0.5 * (1 + Math.cos(Math.PI * progress));
    }
}
