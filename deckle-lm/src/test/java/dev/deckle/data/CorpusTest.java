package dev.deckle.data;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CorpusTest {
    @TempDir
    Path temp;

    @Test
    void aFolderIsAllTextInItInTheOrderOfTheNames() throws IOException {
        write("f/z.txt", "last");
        write("f/a/b/deep.md", "deep");
        write("f/a.java", "class A {}");
        write("f/lines.jsonl", "{\"text\": \"one\"}\r\n \t\r\n{\"id\": 1, \"text\": \"tw\\u00f6\"}\n{\"text\": \"\"}");
        write("f/.hidden", "no");
        write("f/.git/config", "no");
        write("f/target/out.txt", "no");
        write("f/a/node_modules/x.js", "no");
        write("f/empty.txt", "");
        Files.write(path("f/picture.png"), new byte[] {(byte) 0x89, 'P', 'N', 'G', 0, 0, 1});
        Files.write(path("f/noise"), noise());
        String latin = "Übergröße, but in a text that is long enough for its bytes to be few";
        Files.write(path("f/latin1.txt"), latin.getBytes(ISO_8859_1));
        try (Corpus corpus = Corpus.open(List.of(temp.resolve("f")))) {
            assertEquals(List.of("f/a.java", "f/a/b/deep.md", "f/latin1.txt", "f/lines.jsonl:1", "f/lines.jsonl:3",
                    "f/z.txt"), corpus.documents().stream().map(Document::name).toList());
            Map<String, String> texts = texts(corpus.documents());
            assertEquals("deep", texts.get("f/a/b/deep.md"));
            assertEquals("one", texts.get("f/lines.jsonl:1"));
            assertEquals("twö", texts.get("f/lines.jsonl:3"));
            assertTrue(corpus.description().contains("6 documents"), corpus::description);
            assertTrue(corpus.description().contains("2 binary files left out"), corpus::description);
            for (Document d : corpus.documents()) {
                assertEquals(d.size(), d.read().length, d.name());
            }
        }
    }

    @Test
    void aFolderNamedAsBuildOutputIsReadWhenItIsGiven() throws IOException {
        write("target/a.txt", "yes");
        try (Corpus corpus = Corpus.open(List.of(temp.resolve("target")))) {
            assertEquals(Map.of("target/a.txt", "yes"), texts(corpus.documents()));
        }
    }

    @Test
    void linksToFilesAreFollowedAndCirclesAreNot() throws IOException {
        write("f/a.txt", "a");
        write("elsewhere.txt", "linked");
        Files.createSymbolicLink(path("f/b.txt"), temp.resolve("elsewhere.txt"));
        Files.createSymbolicLink(path("f/circle"), temp.resolve("f"));
        Files.createSymbolicLink(path("f/dangling"), temp.resolve("nowhere"));
        Files.createSymbolicLink(temp.resolve("g"), temp.resolve("f"));
        for (String name : List.of("f", "g")) {
            try (Corpus corpus = Corpus.open(List.of(temp.resolve(name)))) {
                assertEquals(Map.of("f/a.txt", "a", "f/b.txt", "linked"), texts(corpus.documents()));
            }
        }
    }

    @Test
    void anArchiveIsSearchedLikeAFolder() throws IOException {
        for (String name : List.of("x.zip", "y.JAR")) {
            Path zip = zip(name, Map.of("b.txt", "bee", "./a/c.txt", "sea", "a/.hidden", "no", "build/x.txt", "no",
                    "empty", "", "t.jsonl", "{\"text\":\"t1\"}\n{\"text\":\"t2\"}\n", "bin", "\0"));
            try (Corpus corpus = Corpus.open(List.of(zip))) {
                assertEquals(Map.of(name + "/b.txt", "bee", name + "/./a/c.txt", "sea", name + "/t.jsonl:1", "t1",
                        name + "/t.jsonl:2", "t2"), texts(corpus.documents()));
            }
        }
    }

    @Test
    void severalPathsAreOneCorpus() throws IOException {
        write("a/x.txt", "1");
        write("b/x.txt", "2");
        write("c.txt", "3");
        var paths = new ArrayList<>(List.of(temp.resolve("a"), temp.resolve("b"), temp.resolve("c.txt")));
        String fingerprint;
        try (Corpus corpus = Corpus.open(paths)) {
            assertEquals(Map.of("a/x.txt", "1", "b/x.txt", "2", "c.txt", "3"), texts(corpus.documents()));
            fingerprint = Corpus.fingerprint(corpus.documents());
        }
        Collections.reverse(paths);
        try (Corpus corpus = Corpus.open(paths)) {
            assertEquals(fingerprint, Corpus.fingerprint(corpus.documents()));
        }
    }

    @Test
    void theFingerprintIsThatOfNamesAndTexts() throws IOException {
        write("f/a.txt", "text");
        write("f/b.txt", "more");
        String before = fingerprint();
        assertEquals(before, fingerprint());
        write("f/b.txt", "most");
        String otherText = fingerprint();
        Files.move(path("f/b.txt"), path("f/c.txt"));
        assertEquals(3, Stream.of(before, otherText, fingerprint()).distinct().count());
    }

    private String fingerprint() throws IOException {
        try (Corpus corpus = Corpus.open(List.of(temp.resolve("f")))) {
            return Corpus.fingerprint(corpus.documents());
        }
    }

    @Test
    void problemsAreNamedWithTheirFile() throws IOException {
        refused("nowhere: no such file or folder", temp.resolve("nowhere"));
        Files.createDirectory(temp.resolve("void"));
        refused("void: no text there", temp.resolve("void"));
        write("empty.txt", "");
        refused("empty.txt: no text there", temp.resolve("empty.txt"));
        Files.write(path("bin"), new byte[] {'a', 0, 'b'});
        refused("bin: not text", temp.resolve("bin"));
        Files.write(path("onlybin/bin"), new byte[] {'a', 0, 'b'});
        refused("onlybin: no text there (1 binary file left out)", temp.resolve("onlybin"));
        write("a.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\"}\n");
        refused("a.jsonl: line 2: expected a string in the field \"text\", found the fields [body]",
                temp.resolve("a.jsonl"));
        write("b.jsonl", "{\"text\": 5}");
        refused("b.jsonl: line 1: expected a string", temp.resolve("b.jsonl"));
        write("c.jsonl", "{\"text\": \"a\"}\n\nplain text\n");
        refused("c.jsonl: line 3: not JSON", temp.resolve("c.jsonl"));
        write("d.jsonl", "{\"text\": \"a\"} {}");
        refused("d.jsonl: line 1", temp.resolve("d.jsonl"));
        write("e.zip", "PK no zip");
        refused("e.zip: broken zip file", temp.resolve("e.zip"));
        if (Files.exists(Path.of("/dev/null"))) {
            refused("/dev/null: neither a file nor a folder", Path.of("/dev/null"));
        }
        assertThrows(IllegalArgumentException.class, () -> Corpus.open(List.of()));
    }

    private static void refused(String message, Path path) {
        var e = assertThrows(IOException.class, () -> Corpus.open(List.of(path)));
        assertTrue(e.getMessage().contains(message), e::getMessage);
        assertEquals(1, e.getMessage().lines().count(), e::getMessage);
    }

    /// Whatever is damaged in an archive: a message with its name, or texts that its checksums vouch for.
    @Test
    void aDamagedArchiveIsRefused() throws IOException {
        var random = new Random(1);
        var entries = new TreeMap<String, String>();
        for (int i = 0; i < 5; i++) {
            entries.put("f" + i + ".txt", "text ".repeat(500) + random.nextLong());
        }
        byte[] good = Files.readAllBytes(zip("z.zip", entries));
        int refused = 0;
        for (int i = 0; i < 300; i++) {
            byte[] bad = i % 3 == 0 ? Arrays.copyOf(good, random.nextInt(good.length)) : good.clone();
            for (int n = i % 3; n > 0; n--) {
                bad[random.nextInt(bad.length)] ^= (byte) (1 << random.nextInt(8));
            }
            Path file = Files.write(temp.resolve("z.zip"), bad);
            try (Corpus corpus = Corpus.open(List.of(file))) {
                texts(corpus.documents());
            } catch (IOException e) {
                assertTrue(e.getMessage().startsWith(file + ": "), e::getMessage);
                assertEquals(1, e.getMessage().lines().count(), e::getMessage);
                refused++;
            }
        }
        assertTrue(refused > 150, "refused " + refused);
    }

    @Test
    void anEntryThatIsNotAsLongAsItSaysIsRefused() throws IOException {
        byte[] good = Files.readAllBytes(zip("z.zip", Map.of("a.txt", "text ".repeat(100))));
        int directory = new String(good, ISO_8859_1).indexOf("PK\1\2");
        for (int claimed : new int[] {499, 501, 1}) {
            byte[] lying = good.clone();
            lying[directory + 24] = (byte) claimed;
            lying[directory + 25] = (byte) (claimed >> 8);
            Path file = Files.write(temp.resolve("z.zip"), lying);
            try (Corpus corpus = Corpus.open(List.of(file))) {
                var e = assertThrows(IOException.class, corpus.documents().getFirst()::read);
                assertTrue(e.getMessage().startsWith(file + ": a.txt: broken zip file"), e::getMessage);
            }
        }
    }

    @Test
    void oneDocumentInTwentyIsHeldOut() throws IOException {
        for (int n : new int[] {2, 3, 20, 29, 30, 100, 517}) {
            for (int i = 0; i < n; i++) {
                write("n" + n + "/" + i + ".txt", "text " + i);
            }
            try (Corpus corpus = Corpus.open(List.of(temp.resolve("n" + n)))) {
                Corpus.Split split = corpus.split(7);
                assertEquals(Math.max(1, Math.round(n / 20f)), split.validation().size());
                var all = new HashSet<>(split.train());
                all.addAll(split.validation());
                assertEquals(new HashSet<>(corpus.documents()), all);
                assertEquals(n, split.train().size() + split.validation().size());
                assertEquals(split, corpus.split(7));
            }
        }
    }

    @Test
    void theSeedDecidesAndEachDocumentHasItsChance() throws IOException {
        for (int i = 0; i < 40; i++) {
            write("f/" + i + ".txt", "text " + i);
        }
        var times = new TreeMap<String, Integer>();
        try (Corpus corpus = Corpus.open(List.of(temp.resolve("f")))) {
            for (int seed = 0; seed < 2_000; seed++) {
                corpus.split(seed).validation().forEach(d -> times.merge(d.name(), 1, Integer::sum));
            }
            assertNotEquals(corpus.split(1), corpus.split(2));
        }
        assertEquals(40, times.size());
        times.forEach((name, n) -> assertTrue(n > 60 && n < 140, name + " held out " + n + " times of 100 expected"));
    }

    @Test
    void ofOneDocumentTheEndIsHeldOut() throws IOException {
        write("one.txt", "line\n".repeat(200));
        Corpus.Split split = split("one.txt");
        assertEquals("line\n".repeat(190), text(split.train().getFirst()));
        assertEquals("line\n".repeat(10), text(split.validation().getFirst()));
        assertEquals(50, split.validation().getFirst().size());

        write("one.txt", "6 long\n".repeat(207)); // the twentieth begins within a line
        split = split("one.txt");
        assertEquals("6 long\n".repeat(197), text(split.train().getFirst()));
        assertEquals("6 long\n".repeat(10), text(split.validation().getFirst()));

        write("one.txt", "é".repeat(5_000)); // no line end near: between characters
        split = split("one.txt");
        assertEquals("é".repeat(4_750), text(split.train().getFirst()));
        assertEquals("é".repeat(250), text(split.validation().getFirst()));

        write("one.txt", "手".repeat(100) + "\n");
        split = split("one.txt");
        String joined = text(split.train().getFirst()) + text(split.validation().getFirst());
        assertEquals("手".repeat(100) + "\n", joined);

        write("one.txt", "a");
        split = split("one.txt");
        assertEquals("a", text(split.train().getFirst()));
        assertTrue(split.validation().isEmpty());
    }

    private Corpus.Split split(String name) throws IOException {
        try (Corpus corpus = Corpus.open(List.of(temp.resolve(name)))) {
            return corpus.split(1);
        }
    }

    @Test
    void theDefaultIsTheSourceOfTheJdk() throws IOException {
        Path home = Files.createDirectory(temp.resolve("jdk"));
        Files.createDirectory(home.resolve("lib"));
        Path zip = zip("src.zip", Map.of("java.base/java/lang/A.java", "class A {}", "java.base/sun/X.java", "no",
                "java.sql/java/sql/Y.java", "no", "java.base/java/lang/doc.html", "no"));
        Files.move(zip, home.resolve("lib/src.zip"));
        try (Corpus corpus = Corpus.defaultCorpus(home)) {
            assertEquals(Map.of("src.zip/java.base/java/lang/A.java", "class A {}"), texts(corpus.documents()));
            assertTrue(corpus.description().startsWith(home.resolve("lib/src.zip").toString()), corpus::description);
        }
    }

    @Test
    void withoutThatItIsOurOwnSource() throws IOException {
        try (Corpus corpus = Corpus.defaultCorpus(temp)) {
            assertTrue(corpus.description().contains("no " + temp.resolve("lib/src.zip")), corpus::description);
            assertTrue(corpus.description().contains("Deckle's own source"), corpus::description);
            assertTrue(texts(corpus.documents()).values().stream().anyMatch(t -> t.contains("final class Corpus")));
        }
    }

    @Test
    void aDocumentThatIsGoneIsNamed() throws IOException {
        Path file = write("f/a.txt", "a");
        Path lines = write("f/b.jsonl", "{\"text\": \"b\"}");
        try (Corpus corpus = Corpus.open(List.of(temp.resolve("f")))) {
            Files.delete(file);
            Files.writeString(lines, "{");
            for (Document d : corpus.documents()) {
                var e = assertThrows(IOException.class, d::read);
                assertTrue(e.getMessage().contains(d.name().startsWith("f/a") ? "a.txt" : "b.jsonl"), e::getMessage);
            }
            var e = assertThrows(IOException.class, () -> Corpus.fingerprint(corpus.documents()));
            assertTrue(e.getMessage().contains(".txt") || e.getMessage().contains(".jsonl"), e::getMessage);
        }
    }

    @Test
    void aCharacterCutOffByTheLookDoesNotMakeATextBinary() throws IOException {
        assertTrue(Sources.isText(Arrays.copyOf("a手".getBytes(UTF_8), 3)));
        assertTrue(Sources.isText(new byte[0]));
        byte[] tenth = "a".repeat(99).getBytes(UTF_8);
        Arrays.fill(tenth, 0, 9, (byte) 0xFF);
        assertTrue(Sources.isText(tenth));
        Arrays.fill(tenth, 0, 10, (byte) 0xFF);
        assertFalse(Sources.isText(tenth));
    }

    private static Map<String, String> texts(List<Document> documents) throws IOException {
        var texts = new TreeMap<String, String>();
        for (Document d : documents) {
            texts.put(d.name(), text(d));
        }
        return texts;
    }

    private static String text(Document document) throws IOException {
        return new String(document.read(), UTF_8);
    }

    private static byte[] noise() {
        byte[] bytes = new byte[5_000];
        new Random(1).nextBytes(bytes);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] |= 1; // no NUL
        }
        return bytes;
    }

    private Path path(String name) throws IOException {
        Path file = temp.resolve(name);
        Files.createDirectories(file.getParent());
        return file;
    }

    private Path write(String name, String text) throws IOException {
        return Files.writeString(path(name), text);
    }

    private Path zip(String name, Map<String, String> entries) throws IOException {
        Path file = temp.resolve(name);
        try (var out = new ZipOutputStream(Files.newOutputStream(file))) {
            for (var entry : new TreeMap<>(entries).entrySet()) {
                out.putNextEntry(new ZipEntry(entry.getKey()));
                out.write(entry.getValue().getBytes(UTF_8));
            }
        }
        return file;
    }
}
