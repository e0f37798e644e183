package dev.deckle.generate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GenerationConfigTest {
    private static final Sampler OURS = new Sampler(0.8, 0, 1, 0, 1);

    @TempDir
    private Path folder;

    private GenerationConfig read(String json) throws IOException {
        Files.writeString(folder.resolve("config.json"), "{\"eos_token_id\": 2}");
        Files.writeString(folder.resolve("generation_config.json"), json);
        return GenerationConfig.read(folder);
    }

    @Test
    void aFolderWithoutTheFileSaysItsEndTokens() throws IOException {
        Files.writeString(folder.resolve("config.json"), "{\"eos_token_id\": [2, 5]}");
        GenerationConfig c = GenerationConfig.read(folder);
        assertEquals(List.of(2, 5), c.eos_token_id());
        assertEquals(OURS, c.sampler(OURS));
        assertEquals(77, c.maxNewTokens(9, 77));
        assertEquals(1, c.num_beams());
    }

    /// The file's end tokens take the place of the model's; what it does not say of drawing is as in transformers.
    @Test
    void whatTheFileSays() throws IOException {
        GenerationConfig c = read("{\"do_sample\": true, \"temperature\": 0.6, \"top_p\": 0.9, "
                + "\"eos_token_id\": [7, 8], \"pad_token_id\": 0, \"stop_strings\": \"END\", "
                + "\"repetition_penalty\": 1.05, \"_from_model_config\": true, \"typical_p\": 1.0, "
                + "\"bad_words_ids\": null, \"transformers_version\": \"5.17.0\", \"max_length\": 40}");
        assertEquals(List.of(7, 8), c.eos_token_id());
        assertEquals(new Sampler(0.6, 50, 0.9, 0, 1.05), c.sampler(OURS));
        assertEquals(Optional.of(0), c.pad_token_id());
        assertEquals(List.of("END"), c.stop_strings());
        assertEquals(31, c.maxNewTokens(9, 77));
        String m = assertThrows(IllegalArgumentException.class, () -> c.maxNewTokens(40, 77)).getMessage();
        assertEquals("the prompt has 40 tokens, and generation_config.json allows 40 with those that follow "
                + "(max_length)", m);
        assertEquals(5, read("{\"max_new_tokens\": 5, \"max_length\": 40}").maxNewTokens(50, 77));
    }

    @Test
    void drawingOrNot() throws IOException {
        assertEquals(OURS, read("{}").sampler(OURS));
        assertEquals(new Sampler(0.8, 9, 1, 0, 1), read("{\"top_k\": 9}").sampler(OURS));
        assertEquals(new Sampler(0, 0, 1, 0, 1.2),
                read("{\"do_sample\": false, \"temperature\": 0.7, \"repetition_penalty\": 1.2}").sampler(OURS));
        assertEquals(new Sampler(1, 50, 1, 0, 1), read("{\"do_sample\": true}").sampler(OURS));
        assertEquals(new Sampler(1, 0, 1, 0.1, 1),
                read("{\"do_sample\": true, \"top_k\": 0, \"min_p\": 0.1}").sampler(OURS));
    }

    @Test
    void beams() throws IOException {
        GenerationConfig c = read("{\"num_beams\": 3, \"length_penalty\": -0.5, \"early_stopping\": \"never\", "
                + "\"num_return_sequences\": 2, \"min_new_tokens\": 4}");
        assertEquals(new BeamSearch(3, -0.5, BeamSearch.EarlyStopping.NEVER),
                new BeamSearch(c.num_beams(), c.length_penalty(), c.early_stopping()));
        assertEquals(2, c.num_return_sequences());
        assertEquals(4, c.min_new_tokens());
        assertEquals(0, read("{\"do_sample\": false, \"temperature\": 0}").sampler(Sampler.greedy()).temperature());
        assertEquals(BeamSearch.EarlyStopping.TRUE, read("{\"early_stopping\": true}").early_stopping());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "\"temperature\": \"hot\"     | temperature is \"hot\", expected a number",
        "\"do_sample\": true, \"temperature\": 0 | temperature is 0, expected a number above 0; do_sample",
        "\"temperature\": -1          | temperature is -1, expected a number from 0.0",
        "\"top_p\": 1.5               | top_p is 1.5, expected a number from 0.0 to 1.0",
        "\"top_p\": 0                 | top_p is 0, expected a number above 0 and at most 1",
        "\"top_k\": -3                | top_k is -3, expected a whole number from 0",
        "\"do_sample\": \"yes\"       | do_sample is \"yes\", expected true or false",
        "\"early_stopping\": \"soon\" | early_stopping is \"soon\", expected true, false or \"never\"",
        "\"num_beams\": 2, \"num_return_sequences\": 3 | num_return_sequences is 3, expected at most num_beams 2",
        "\"no_repeat_ngram_size\": 3  | no_repeat_ngram_size is 3, expected 0: other values are not supported",
        "\"suppress_tokens\": [4]     | suppress_tokens is [4], expected null: other values are not supported",
        "\"stop_strings\": [1]        | stop_strings is [1], expected a text or a list of them",
        "\"eos_token_id\": \"</s>\"   | eos_token_id is \"</s>\", expected a token id or a list of them",
        "\"max_new_tokens\": 0        | max_new_tokens is 0, expected a whole number from 1",
    })
    void whatDoesNotFitIsNamed(String entry, String expected) {
        String m = assertThrows(IllegalArgumentException.class, () -> read("{" + entry + "}")).getMessage();
        assertTrue(m.startsWith(folder.resolve("generation_config.json") + ": " + expected), m);
    }
}
