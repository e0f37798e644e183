package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import dev.deckle.align.AlignOptions.Method;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class AlignOptionsTest {
    private static AlignOptions of(Method method) {
        AlignOptions o = new AlignOptions(method);
        if (method == Method.GRPO) {
            o.rollouts = "drawn.jsonl";
        } else {
            o.data = "rows.jsonl";
        }
        if (method == Method.PPO) {
            o.reward.add("length");
        }
        return o;
    }

    private static void assertRefused(String what, JsonObject options) {
        String message = assertThrows(IllegalArgumentException.class, () -> AlignOptions.read(options)).getMessage();
        assertTrue(message.contains(what) && !message.contains("\n"), message);
    }

    /// Of transformers' `optimization.py`: what the optimizer's rate is multiplied by.
    private static double factor(String schedule, long step, long warmup, long steps) {
        if (step < warmup) {
            return step / (double) Math.max(1, warmup);
        }
        double progress = (step - warmup) / (double) Math.max(1, steps - warmup);
        return switch (schedule) {
            case "constant" -> 1;
            case "linear" -> Math.max(0, (steps - step) / (double) Math.max(1, steps - warmup));
            default -> Math.max(0, 0.5 * (1 + Math.cos(Math.PI * 0.5 * 2 * progress)));
        };
    }

    @ParameterizedTest
    @CsvSource({"constant,0,7", "constant,3,7", "linear,0,7", "linear,3,7", "linear,6,7", "linear,7,7", "linear,9,7",
        "cosine,0,7", "cosine,3,7", "cosine,6,7", "cosine,7,7", "cosine,9,7", "linear,0,1", "cosine,0,1"})
    void ratesAreThoseOfTransformers(String schedule, int warmup, int steps) {
        AlignOptions o = of(Method.SFT);
        o.lr = 0.3;
        o.lr_schedule = schedule;
        o.warmup_steps = warmup;
        o.steps = steps;
        o.complete();
        for (int step = 0; step < steps; step++) {
            assertEquals(0.3 * factor(schedule, step, warmup, steps), o.rate(step), 1e-15, "step " + step);
        }
    }

    /// TRL's own defaults.
    @ParameterizedTest
    @CsvSource({"SFT,2e-5,0,''", "REWARD,1e-4,0,''", "DPO,1e-6,0.1,sigmoid", "GRPO,1e-6,0,grpo"})
    void defaults(Method method, double lr, double beta, String loss) {
        AlignOptions o = of(method).complete();
        assertEquals(lr, o.lr);
        assertEquals(beta, o.beta);
        assertEquals(loss, o.loss);
        assertEquals(0.2, o.epsilon_high);
        assertEquals(o.lr, o.complete().lr); // once more changes nothing: a run that is resumed
        assertEquals(1e-8, o.adam_eps);
        assertEquals(0.999, o.adam_beta2);
        assertEquals(1, o.grad_clip);
    }

    @ParameterizedTest
    @EnumSource
    void throughACheckpointAndBack(Method method) {
        AlignOptions o = of(method);
        o.seed = Long.MAX_VALUE - 1;
        o.lr = 0.1 + 0.2;
        o.shuffle = false;
        o.complete();
        AlignOptions back = AlignOptions.read(o.json());
        assertEquals(o.json(), back.complete().json());
        assertEquals("", back.trace); // is no part of a run, and still not null
        back = AlignOptions.read(o.json().deepCopy());
        var older = o.json();
        older.remove("temperature"); // of a run before there was such an option
        assertEquals(1, AlignOptions.read(older).temperature);
        older.addProperty("steps", "many");
        assertRefused("options: ", older);
        older.remove("method");
        older.remove("steps");
        assertRefused("options: those of an alignment run are expected", older);
    }

    @Test
    void everyRowOnceInOrder() {
        AlignOptions o = of(Method.SFT);
        o.batch_size = 3;
        o.grad_accum = 2;
        assertEquals(List.of(0L, 1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L), Stream.of(o.positions(0, 0),
                o.positions(0, 1), o.positions(1, 0), o.positions(1, 1)).flatMap(List::stream).toList());
        o.batch_size = 1 << 20;
        assertTrue(o.positions(1 << 20, 1).getFirst() > Integer.MAX_VALUE);
    }
}
