package dev.deckle.optim;

/// Linear warm-up, then half a cosine down to a floor (Loshchilov and Hutter 2017).
///
/// @param peak the highest rate
/// @param floor the last rate
/// @param warmupSteps steps on the way up; the first step already learns
public record CosineSchedule(double peak, double floor, int warmupSteps) {
    /// The rate of `step` (0, 1, ...) when `progress` (0 to 1) of the run has passed.
    public double at(long step, double progress) {
        double warm = Math.min(1, (step + 1.0) / Math.max(1, warmupSteps));
        double cosine = floor + (peak - floor) * 0.5 * (1 + Math.cos(Math.PI * Math.clamp(progress, 0, 1)));
        return warm * cosine;
    }
}
