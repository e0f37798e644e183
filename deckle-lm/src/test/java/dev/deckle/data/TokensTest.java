package dev.deckle.data;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.deckle.kernel.Team;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokensTest {
    private record Text(String name, String text) implements Document {
        @Override
        public long size() {
            return read().length;
        }

        @Override
        public byte[] read() {
            return text.getBytes(UTF_8);
        }
    }

    private static final Tokenizer TOKENIZER = trained(300);
    private static final Corpus.Split SPLIT = new Corpus.Split(
            List.of(new Text("a", "the cat and the dog"), new Text("b", "é<|endoftext|>!")),
            List.of(new Text("c", "a hat")));

    @TempDir
    Path folder;

    private static Tokenizer trained(int size) {
        var trainer = new BpeTrainer(size, List.of("<|endoftext|>"));
        String text = "the cat and the dog and the hat that the cat had and the rest of them all, then and there";
        trainer.count(text.getBytes(UTF_8));
        return trainer.train();
    }

    @Test
    void documentsAreFollowedByTheEndToken() throws IOException {
        try (Tokens tokens = Tokens.prepare(folder, SPLIT, TOKENIZER, 0)) {
            assertTrue(tokens.rebuilt());
            var expected = new ArrayList<Integer>();
            for (Document d : SPLIT.train()) {
                Arrays.stream(TOKENIZER.encodeOrdinary(d.read())).forEach(expected::add);
                expected.add(0);
            }
            assertEquals(expected, all(tokens.train()));
            assertEquals(2, all(tokens.train()).stream().filter(id -> id == 0).count(), "text cannot end a document");
            assertEquals(2, tokens.train().documents());
            assertEquals(35, tokens.train().textBytes());
            assertEquals("a hat<|endoftext|>", TOKENIZER.decode(ints(tokens.validation())));
            assertEquals(tokens.train().size() / 35.0, tokens.train().bitsPerByte(Math.log(2)), 1e-12);
        }
    }

    @Test
    void aSecondRunFindsThem() throws IOException {
        Tokens.prepare(folder, SPLIT, TOKENIZER, 0).close();
        List<Path> first = files();
        assertEquals(2, first.size(), first::toString);
        try (Tokens tokens = Tokens.prepare(folder, SPLIT, TOKENIZER, 0)) {
            assertFalse(tokens.rebuilt());
            assertEquals(2, tokens.train().documents());
        }
    }

    @Test
    void whateverChangesHasOtherFiles() throws IOException {
        Tokens.prepare(folder, SPLIT, TOKENIZER, 0).close();
        var otherText = new Corpus.Split(List.of(SPLIT.train().getFirst(), new Text("b", "é!")), SPLIT.validation());
        var otherSplit = new Corpus.Split(SPLIT.validation(), SPLIT.train());
        rebuilt(otherText, TOKENIZER, 0);
        rebuilt(otherSplit, TOKENIZER, 0);
        rebuilt(SPLIT, trained(280), 0);
        rebuilt(SPLIT, TOKENIZER, 1);
    }

    private void rebuilt(Corpus.Split split, Tokenizer tokenizer, int endToken) throws IOException {
        try (Tokens tokens = Tokens.prepare(folder, split, tokenizer, endToken)) {
            assertTrue(tokens.rebuilt());
            assertEquals(endToken, tokens.train().get(tokens.train().size() - 1));
        }
        try (Tokens tokens = Tokens.prepare(folder, split, tokenizer, endToken)) {
            assertFalse(tokens.rebuilt());
        }
    }

    /// Any damage to a cached file is noticed, and the file is made again as it was.
    @Test
    void aDamagedFileIsBuiltAgain() throws IOException {
        Tokens.prepare(folder, SPLIT, TOKENIZER, 0).close();
        var random = new Random(1);
        for (Path file : files()) {
            byte[] good = Files.readAllBytes(file);
            for (int i = 0; i < 100; i++) {
                byte[] bad = switch (i % 4) {
                    case 0 -> Arrays.copyOf(good, random.nextInt(good.length));
                    case 1 -> Arrays.copyOf(good, good.length + 1 + random.nextInt(100));
                    default -> good.clone();
                };
                if (i % 4 > 1) {
                    bad[random.nextInt(bad.length)] ^= (byte) (1 << random.nextInt(8));
                }
                Files.write(file, bad);
                try (Tokens tokens = Tokens.prepare(folder, SPLIT, TOKENIZER, 0)) {
                    assertTrue(tokens.rebuilt());
                }
                assertArrayEquals(good, Files.readAllBytes(file));
            }
        }
        assertEquals(2, files().size());
    }

    @Test
    void aWholeFileOfOtherTokensIsBuiltAgain() throws IOException {
        Tokens.prepare(folder, SPLIT, TOKENIZER, 0).close();
        List<Path> files = files();
        Files.copy(files.get(0), files.get(1), StandardCopyOption.REPLACE_EXISTING);
        try (Tokens tokens = Tokens.prepare(folder, SPLIT, TOKENIZER, 0)) {
            assertTrue(tokens.rebuilt());
            assertEquals(2, tokens.train().documents());
            assertEquals(1, tokens.validation().documents());
        }
    }

    @Test
    void aTokenFileThatIsNoneIsNamed() throws IOException {
        for (String content : List.of("", "short", "x".repeat(500))) {
            Path file = Files.writeString(folder.resolve("x.tokens"), content);
            var e = assertThrows(IOException.class, () -> TokenFile.open(file));
            assertTrue(e.getMessage().startsWith(file.toString()), e::getMessage);
        }
    }

    @Test
    void largeVocabulariesHaveFourBytes() throws IOException {
        for (int vocabulary : new int[] {65_535, 65_536, 65_537, 200_000}) {
            Path file = folder.resolve("v.tokens");
            try (var writer = new TokenFile.Writer(file, vocabulary)) {
                writer.document(new int[] {vocabulary - 1, 0, 40_000}, 7, 3);
                writer.finish("k".repeat(64));
            }
            try (TokenFile tokens = TokenFile.open(file)) {
                assertEquals(List.of(vocabulary - 1, 0, 40_000, 7), all(tokens));
            }
            assertEquals(104 + 4 * (vocabulary <= 65_536 ? 2 : 4), Files.size(file));
        }
    }

    @Test
    void aFileThatIsNotFinishedLeavesNothing() throws IOException {
        try (var writer = new TokenFile.Writer(folder.resolve("v.tokens"), 300)) {
            writer.document(new int[] {1, 2, 3}, 0, 3);
        }
        assertEquals(List.of(), files());
    }

    @Test
    void threadsDoNotShow() throws IOException {
        var random = new Random(2);
        var documents = new ArrayList<Document>();
        for (int i = 0; i < 300; i++) {
            documents.add(new Text("t" + i, "the cat and the hat ".repeat(random.nextInt(50)) + i));
        }
        var split = new Corpus.Split(documents, List.of());
        int before = Team.shared().threads();
        byte[][] written = new byte[2][];
        for (int threads = 1; threads <= 2; threads++) {
            Team.setThreads(threads);
            Path own = folder.resolve("threads" + threads);
            try (Tokens tokens = Tokens.prepare(own, split, TOKENIZER, 0)) {
                assertEquals(0, tokens.validation().size());
            }
            try (var files = Files.list(own)) {
                Path train = files.filter(f -> f.toString().contains("train-")).findFirst().orElseThrow();
                written[threads - 1] = Files.readAllBytes(train);
            }
        }
        Team.setThreads(before);
        assertArrayEquals(written[0], written[1]);
    }

    private List<Path> files() throws IOException {
        try (var files = Files.list(folder)) {
            return files.sorted().toList();
        }
    }

    private static List<Integer> all(TokenFile tokens) {
        return Arrays.stream(ints(tokens)).boxed().toList();
    }

    private static int[] ints(TokenFile tokens) {
        int[] ids = new int[(int) tokens.size()];
        tokens.copy(0, ids.length, ids, 0);
        return ids;
    }
}
