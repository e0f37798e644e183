package dev.deckle.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.deckle.io.Safetensors;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SequenceClassifierTest {
    private static final int HIDDEN = 12;

    @TempDir
    private Path folder;

    /// A classifier's folder.
    ///
    /// @param rows of its score
    private void make(String end, String padding, int rows) throws IOException {
        try (Llama m = Llama.create(Llama.Config.of(11, HIDDEN, 20, 2, 6, 2, 16, false), 7, 7)) {
            Map<String, Tensor> weights = new LinkedHashMap<>(m.parameters());
            float[] score = new float[rows * HIDDEN];
            for (int i = 0; i < score.length; i++) {
                score[i] = (i % 5 - 2) * 0.5f;
            }
            weights.put("score.weight", Tensor.of(score, rows, HIDDEN));
            Safetensors.save(folder.resolve("model.safetensors"), weights, Map.of());
            JsonObject config = m.configJson().deepCopy();
            config.add("eos_token_id", JsonParser.parseString(end));
            config.add("pad_token_id", JsonParser.parseString(padding));
            Files.writeString(folder.resolve("config.json"), config.toString());
        }
    }

    private static double score(SequenceClassifier c, int... ids) {
        return c.scores(List.of(ids)).item();
    }

    /// Transformers reads a score at the last token that does not pad.
    @ParameterizedTest
    @CsvSource(delimiter = '|',
            value = {"2 | null | 2", "2 | 0 | 0", "[4, 2] | null | 4", "2 | 2 | 2", "null | null | -1"})
    void whatPadsIsNotJudged(String end, String given, int padding) throws IOException {
        make(end, given, 1);
        try (SequenceClassifier c = Models.openClassifier(folder)) {
            assertEquals(padding >= 0 ? padding + "" : "null", c.configJson().get("pad_token_id").toString());
            for (int last = 0; last < 6; last++) {
                if (last == padding) {
                    assertEquals(score(c, 5, 9, 3), score(c, 5, 9, 3, last, last), 1e-6);
                    assertEquals(score(c, last), score(c, last, last, last), 1e-6); // nothing but padding: its first
                } else {
                    assertNotEquals(score(c, 5, 9, 3), score(c, 5, 9, 3, last), 1e-4);
                }
            }
            List<int[]> rows = List.of(new int[] {5, 9, 3, 7}, new int[] {1}, new int[] {8, 2, 10});
            double[] together = c.scores(rows).toDoubles();
            assertArrayEquals(rows.stream().mapToDouble(r -> score(c, r)).toArray(), together, 1e-6);
            assertEquals(1, c.vocabSize());
            assertEquals("[\"LlamaForSequenceClassification\"]", c.configJson().get("architectures").toString());
        }
    }

    @Test
    void whatIsNoClassifierOfOneLabel() throws IOException {
        make("2", "null", 3);
        String m = assertThrows(IllegalArgumentException.class, () -> Models.openClassifier(folder)).getMessage();
        assertTrue(m.contains("score.weight is (3, 12), (1, 12) expected"), m);
        try (Llama llama = Llama.create(Llama.Config.of(11, HIDDEN, 20, 2, 6, 2, 16, false), 7, 7)) {
            Safetensors.save(folder.resolve("model.safetensors"), llama.parameters(), Map.of());
        }
        m = assertThrows(IllegalArgumentException.class, () -> Models.openClassifier(folder)).getMessage();
        assertTrue(m.contains("score.weight (1, 12) is missing"), m);
    }
}
