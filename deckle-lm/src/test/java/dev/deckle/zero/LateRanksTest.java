package dev.deckle.zero;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.deckle.distributed.Meddling;
import java.util.concurrent.locks.LockSupport;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Ranks that are late at random: nobody waits for ever, and nobody reads what is not there yet.
class LateRanksTest {
    @ParameterizedTest
    @CsvSource({"0,2", "1,3", "2,3", "3,3", "3,2"})
    @Timeout(60)
    void delaysChangeNothing(int stage, int ranks) {
        Fleet.Job job = Fleet.llama(stage == 3, 1).rows(ranks).steps(250);
        Fleet.Layout layout = new Fleet.Layout(ranks, stage);
        Fleet.Outcome punctual = Fleet.train(job, layout);
        Fleet.Outcome late = Fleet.train(job, layout, c -> {
            var random = new java.util.SplittableRandom(31 * c.rank() + stage);
            return new Meddling(c, () -> delay(random, c.rank() == 1 ? 8 : 64));
        });
        assertArrayEquals(punctual.losses(), late.losses());
        punctual.weights().forEach((n, w) -> assertArrayEquals(w, late.weights().get(n), n));
    }

    private static void delay(RandomGenerator random, int oneOf) {
        if (random.nextInt(oneOf) == 0) {
            LockSupport.parkNanos(random.nextInt(1_500_000));
        }
    }
}
