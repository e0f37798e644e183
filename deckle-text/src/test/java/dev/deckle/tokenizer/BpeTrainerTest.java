package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class BpeTrainerTest {
    private static final List<String> SPECIAL = List.of("<|endoftext|>");

    /// The definition, on corpora small enough to count all pairs anew for each merge.
    @Test
    void mergesTheMostFrequentPairEachTime() {
        var random = new Random(1);
        String[][] alphabets = {{"a"}, {"a", "b"}, {"a", "b", "c", " "}, {"ab", "ba", "x", " ", "é", "\n"}};
        for (int round = 0; round < 120; round++) {
            String[] alphabet = alphabets[round % alphabets.length];
            var documents = new ArrayList<byte[]>();
            for (int d = random.nextInt(4); d >= 0; d--) {
                var text = new StringBuilder();
                for (int n = random.nextInt(80); n > 0; n--) {
                    text.append(alphabet[random.nextInt(alphabet.length)]);
                }
                documents.add(Utf8.encode(text.toString()));
            }
            int size = 257 + random.nextInt(60);
            var model = (BpeModel) train(documents, size).definition().model();
            assertEquals(byDefinition(documents, size), model.merges());
        }
    }

    private static List<BpeModel.Merge> byDefinition(List<byte[]> documents, int size) {
        var vocabulary = new ArrayList<>(SPECIAL);
        for (int b : ByteAlphabet.bytesByChar()) {
            vocabulary.add(String.valueOf(ByteAlphabet.toChar(b)));
        }
        var words = new ArrayList<List<Integer>>();
        for (byte[] text : documents) {
            for (int i = 0; i < text.length;) {
                int end = new PieceScanner.Gpt2().pieceEnd(text, i, text.length);
                var word = new ArrayList<Integer>();
                for (; i < end; i++) {
                    word.add(vocabulary.indexOf(String.valueOf(ByteAlphabet.toChar(text[i] & 0xFF))));
                }
                words.add(word);
            }
        }
        var merges = new ArrayList<BpeModel.Merge>();
        while (vocabulary.size() < size) {
            Map<Long, Integer> counts = new TreeMap<>(); // by left id, then right id
            for (List<Integer> word : words) {
                for (int i = 0; i + 1 < word.size(); i++) {
                    counts.merge(PairTable.pair(word.get(i), word.get(i + 1)), 1, Integer::sum);
                }
            }
            if (counts.isEmpty()) {
                break;
            }
            int most = Collections.max(counts.values());
            long best = counts.entrySet().stream().filter(e -> e.getValue() == most).findFirst().orElseThrow().getKey();
            int left = PairTable.left(best);
            int right = PairTable.right(best);
            String token = vocabulary.get(left) + vocabulary.get(right);
            assertFalse(vocabulary.contains(token), "a merge makes a new token");
            int id = vocabulary.size();
            vocabulary.add(token);
            merges.add(new BpeModel.Merge(left, right, id));
            for (List<Integer> word : words) {
                for (int i = 0; i + 1 < word.size(); i++) {
                    if (word.get(i) == left && word.get(i + 1) == right) {
                        word.set(i, id);
                        word.remove(i + 1);
                    }
                }
            }
        }
        return merges;
    }

    @Test
    void neitherOrderNorThreadsMatter() {
        var random = new Random(2);
        var documents = new ArrayList<byte[]>();
        for (int i = 0; i < 2_000; i++) {
            documents.add(Utf8.encode(RandomText.of(random)));
        }
        Tokenizer alone = train(documents, 700);
        Collections.shuffle(documents, random);
        var trainer = new BpeTrainer(700, SPECIAL);
        documents.parallelStream().forEach(trainer::count);
        assertEquals(alone.fingerprint(), trainer.train().fingerprint());
    }

    @Test
    void specialTokensComeFirstThenTheBytes() {
        Tokenizer t = new BpeTrainer(300, List.of("<|a|>", "<|b|>")).train();
        assertEquals(258, t.vocabularySize(), "no text, no merges");
        assertArrayEquals(new int[] {0, 1, 2, 3}, t.encode("<|a|><|b|>!\""));
        assertEquals("Ġ", t.token(t.encode(" ")[0]).orElseThrow());
        assertEquals(t.id("<|a|>"), t.endOfText());
    }

    @Test
    void aSmallTextGivesASmallVocabulary() {
        Tokenizer t = train(List.of(Utf8.encode("abab")), 10_000);
        assertEquals(259, t.vocabularySize());
        assertArrayEquals(t.encode("abab"), new int[] {258});
    }

    @Test
    void refusesWhatCannotBe() {
        var tooSmall = assertThrows(IllegalArgumentException.class, () -> new BpeTrainer(256, SPECIAL));
        assertTrue(tooSmall.getMessage().matches("vocabulary size 256: .* 257 .*"), tooSmall::getMessage);
        assertEquals(257, new BpeTrainer(257, SPECIAL).train().vocabularySize());
        assertThrows(IllegalArgumentException.class, () -> new BpeTrainer(1 << 24, SPECIAL));
        assertThrows(IllegalArgumentException.class, () -> new BpeTrainer(300, List.of("<|a|>", "<|a|>")));
        // what merges could make of ordinary text, spelled in letters for bytes too
        for (String token : List.of("", "a", "end", " end", "###", "Ġend", "Ġ!!")) {
            assertThrows(IllegalArgumentException.class, () -> new BpeTrainer(300, List.of(token)), token);
        }
        assertEquals(258, new BpeTrainer(300, List.of("</s>", "手<")).train().vocabularySize());
    }

    private static Tokenizer train(List<byte[]> documents, int size) {
        var trainer = new BpeTrainer(size, SPECIAL);
        documents.forEach(trainer::count);
        return trainer.train();
    }
}
