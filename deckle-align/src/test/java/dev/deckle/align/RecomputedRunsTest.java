package dev.deckle.align;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Every method with layers that are computed again: the same is told, and the same bits are left.
@Timeout(120)
class RecomputedRunsTest {
    @TempDir
    private Path folder;

    private AlignOptions options(Alignments runs, String name, int ranks, int zero, int lora) throws IOException {
        AlignOptions o = name.startsWith("ppo") ? PpoRuns.options(runs) : runs.options(name);
        if (name.startsWith("ppo")) {
            o.critic = name.substring("ppo-".length());
            o.steps = 5;
        }
        if (name.equals("sft")) {
            o.grad_accum = 2;
            o.packing = lora == 0;
            o.lora_dropout = lora == 0 ? 0 : 0.3;
        }
        o.ranks = ranks;
        o.zero = zero;
        o.lora_rank = lora;
        return o;
    }

    @ParameterizedTest
    @CsvSource({"sft,1,0,0", "sft,2,3,3", "reward,1,0,0", "reward,2,2,3", "sigmoid,2,3,0", "sigmoid,1,0,3",
        "grpo,1,0,0",
        "dapo,2,3,0", "ppo-own,1,0,0", "ppo-shared,2,3,0", "ppo-own,1,0,3"})
    void theSameBits(String name, int ranks, int zero, int lora) throws IOException {
        Alignments runs = new Alignments(folder);
        AlignOptions plain = options(runs, name, ranks, zero, lora);
        AlignOptions again = options(runs, name, ranks, zero, lora);
        again.recompute = true;
        assertFalse(plain.loop(folder).recompute());
        assertTrue(again.loop(folder).recompute());
        var expected = runs.train(plain, folder.resolve("plain"));
        var got = runs.train(again, folder.resolve("again"));
        assertEquals(expected.told(), got.told());
        String file = lora == 0 ? "model.safetensors" : "adapter_model.safetensors";
        assertArrayEquals(Files.readAllBytes(folder.resolve("plain").resolve(file)),
                Files.readAllBytes(folder.resolve("again").resolve(file)));
    }
}
