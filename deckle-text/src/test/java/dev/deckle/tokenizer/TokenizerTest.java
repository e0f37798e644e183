package dev.deckle.tokenizer;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TokenizerTest {
    private static final Tokenizer TOKENIZER = trained(600);

    static Tokenizer trained(int size) {
        var trainer = new BpeTrainer(size, List.of("<|endoftext|>", "<|x|>"));
        var random = new Random(3);
        for (int i = 0; i < 500; i++) {
            trainer.count(Utf8.encode(RandomText.of(random)));
        }
        return trainer.train();
    }

    @Test
    void anyBytesComeBack() {
        var random = new Random(4);
        for (int i = 0; i < 5_000; i++) {
            byte[] bytes = RandomText.bytes(random, 200);
            assertArrayEquals(bytes, TOKENIZER.decodeBytes(TOKENIZER.encode(bytes)));
            String text = RandomText.of(random);
            assertEquals(text, TOKENIZER.decode(TOKENIZER.encode(text)));
            assertEquals(text, TOKENIZER.decode(TOKENIZER.encodeOrdinary(text)));
        }
    }

    @Test
    void specialTokensAreRecognisedUnlessTheTextIsOrdinary() {
        int[] ids = TOKENIZER.encode("a<|x|><|endoftext|>b");
        assertArrayEquals(new int[] {TOKENIZER.encode("a")[0], 1, 0, TOKENIZER.encode("b")[0]}, ids);
        int[] ordinary = TOKENIZER.encodeOrdinary("a<|x|><|endoftext|>b");
        assertTrue(Arrays.stream(ordinary).noneMatch(TOKENIZER::isSpecial));
        assertEquals("a<|x|><|endoftext|>b", TOKENIZER.decode(ordinary));
        assertEquals(List.of(0, 1), TOKENIZER.specialTokens());
        assertEquals(OptionalInt.of(0), TOKENIZER.endOfText());
        assertEquals(OptionalInt.empty(), TOKENIZER.beginOfText());
    }

    @Test
    void anUnpairedSurrogateIsReplaced() {
        assertEquals("a\uFFFDb", TOKENIZER.decode(TOKENIZER.encode("a\uD83Db")));
    }

    @Test
    void idsWithoutATokenAreNoText() {
        assertEquals("", TOKENIZER.decode(-1, TOKENIZER.vocabularySize(), Integer.MAX_VALUE));
        assertTrue(TOKENIZER.token(TOKENIZER.vocabularySize()).isEmpty());
        assertFalse(TOKENIZER.isSpecial(-1));
    }

    /// Written as bytes: overlong forms, surrogates, and what lies beyond U+10FFFF get one U+FFFD a byte; a character
    /// that breaks off gets one.
    @Test
    void malformedTextIsReplacedAsUnicodeRecommends() {
        assertEquals("\uFFFD\uFFFD\uFFFDx", decoded(0xED, 0xA0, 0x80, 'x'));
        assertEquals("\uFFFD\uFFFD\uFFFD\uFFFD", decoded(0xF4, 0x90, 0x80, 0x80));
        assertEquals("\uFFFD\uFFFD", decoded(0xC0, 0x80));
        assertEquals("\uFFFD\uFFFD\uFFFD", decoded(0xE0, 0x80, 0x80));
        assertEquals("\uFFFD\uFFFD\uFFFD\uFFFD", decoded(0xF0, 0x80, 0x80, 0x80));
        assertEquals("\uFFFDx", decoded(0xF0, 0x9F, 0x98, 'x'));
        assertEquals("\uFFFD", decoded(0xE2, 0x82));
        assertEquals("\uFFFD\uFFFD", decoded(0xE2, 0xE2));
    }

    private static String decoded(int... bytes) {
        int[] ids = Arrays.stream(bytes).map(b -> TOKENIZER.encode(new byte[] {(byte) b})[0]).toArray();
        return TOKENIZER.decode(ids);
    }

    @Test
    void aStreamNeverSplitsACharacter() {
        StreamDecoder stream = TOKENIZER.stream();
        var parts = new ArrayList<String>();
        for (byte b : "a🤖é".getBytes(StandardCharsets.UTF_8)) {
            parts.add(stream.accept(TOKENIZER.encode(new byte[] {b})[0]));
        }
        assertEquals(List.of("a", "", "", "", "🤖", "", "é"), parts);
        assertEquals("", stream.flush());
        assertEquals("", stream.accept(TOKENIZER.encode(new byte[] {(byte) 0xF0})[0]));
        assertEquals("\uFFFD", stream.flush());
        assertEquals("", stream.flush());
        assertEquals("", stream.accept(TOKENIZER.encode(new byte[] {(byte) 0xE2})[0]));
        assertEquals("\uFFFDx", stream.accept(TOKENIZER.encode("x")[0]),
                "a character that breaks off is not waited for");
    }

    @Test
    void aStreamSaysWhatDecodingAllAtOnceSays() {
        var random = new Random(5);
        for (int i = 0; i < 5_000; i++) {
            int[] ids = random.ints(random.nextInt(12), 0, i % 2 == 0 ? 258 : TOKENIZER.vocabularySize()).toArray();
            StreamDecoder stream = TOKENIZER.stream();
            var text = new StringBuilder();
            for (int id : ids) {
                text.append(stream.accept(id));
            }
            assertEquals(TOKENIZER.decode(ids), text.append(stream.flush()).toString());
        }
    }

    /// The definition: of all pairs that may merge, the lowest rank first, the leftmost of equal ones.
    @Test
    void mergesByRank() {
        BpeModel definition = model();
        var encoder = new Bpe(definition).new Encoder();
        var random = new Random(6);
        String[] alphabet = {"a", "b", " ", "t", "h", "e", "-", "é"};
        for (int i = 0; i < 3_000; i++) {
            var text = new StringBuilder();
            for (int n = 1 + random.nextInt(i % 10 == 0 ? 300 : 12); n > 0; n--) {
                text.append(alphabet[random.nextInt(alphabet.length)]);
            }
            byte[] piece = Utf8.encode(text.toString());
            var ids = new IntList();
            encoder.encode(piece, 0, piece.length, ids);
            assertEquals(byDefinition(piece, definition), IntStream.of(ids.toArray()).boxed().toList());
        }
    }

    private static BpeModel model() {
        return (BpeModel) TOKENIZER.definition().model();
    }

    private static List<Integer> byDefinition(byte[] piece, BpeModel definition) {
        List<String> vocabulary = Arrays.asList(definition.vocabulary().tokens());
        var ids = new ArrayList<Integer>();
        for (byte b : piece) {
            ids.add(vocabulary.indexOf(String.valueOf(ByteAlphabet.toChar(b & 0xFF))));
        }
        for (boolean merged = true; merged;) {
            merged = false;
            for (BpeModel.Merge m : definition.merges()) {
                for (int i = 0; i + 1 < ids.size() && !merged; i++) {
                    if (ids.get(i) == m.left() && ids.get(i + 1) == m.right()) {
                        ids.set(i, m.merged());
                        ids.remove(i + 1);
                        merged = true;
                    }
                }
                if (merged) {
                    break;
                }
            }
        }
        return ids;
    }

    /// More distinct words than are remembered: forgetting must not show.
    @Test
    void theMemoryOfWordsIsBoundedAndDoesNotShow() {
        var random = new Random(7);
        byte[][] words = new byte[200_000][];
        for (int i = 0; i < words.length; i++) {
            words[i] = Utf8.encode(" w" + Long.toString(random.nextLong() >>> 1, 26 + random.nextInt(9)));
        }
        var warm = new Bpe(model()).new Encoder();
        for (byte[] word : words) {
            var ids = new IntList();
            warm.encode(word, 0, word.length, ids);
            assertArrayEquals(word, TOKENIZER.decodeBytes(ids.toArray()));
        }
        for (int i = 0; i < 2_000; i++) {
            byte[] word = words[random.nextInt(words.length)];
            var seen = new IntList();
            var fresh = new IntList();
            warm.encode(word, 0, word.length, seen);
            new Bpe(model()).new Encoder().encode(word, 0, word.length, fresh);
            assertArrayEquals(fresh.toArray(), seen.toArray());
        }
        int remembered = warm.remembered();
        assertTrue(remembered <= 1 << 16);
        warm.encode(new byte[1_000], 0, 1_000, new IntList());
        assertEquals(remembered, warm.remembered(), "long pieces are not worth it");
    }

    /// A single piece of two million bytes ends: merging is not quadratic in its length.
    @Test
    void aHugePieceIsNoTrap() {
        byte[] text = new byte[2_000_000];
        Arrays.fill(text, (byte) 'x');
        assertArrayEquals(text, TOKENIZER.decodeBytes(TOKENIZER.encode(text)));
    }

    @Test
    void threadsShareATokenizer() {
        var texts = new ArrayList<String>();
        var random = new Random(8);
        for (int i = 0; i < 2_000; i++) {
            texts.add(RandomText.of(random));
        }
        List<int[]> alone = texts.stream().map(TOKENIZER::encode).toList();
        List<int[]> together = texts.parallelStream().map(TOKENIZER::encode).toList();
        for (int i = 0; i < texts.size(); i++) {
            assertArrayEquals(alone.get(i), together.get(i));
        }
    }
}
