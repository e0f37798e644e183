package dev.deckle.data;

import dev.deckle.kernel.Team;
import java.io.Closeable;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.function.BiConsumer;

/// The texts that a model learns from: documents found in files, folders and archives.
///
/// **Goal.** What a corpus is depends on its content only. Documents are sorted by name, names are relative to what was
/// given, and which ones are held out follows from names and seed. So the same folder in another place, or read in
/// another order or by more threads, is the same training run.
///
/// **What is read.**
/// - a text file is one document; a `.jsonl` file is one document a line, its `text` field;
/// - a folder is searched for both, in all its folders. Hidden files, build output (`target`, `build`, `dist`,
///   `node_modules`, `__pycache__`) and binary files are left out. Links to files are followed, links to folders not;
/// - a zip or jar file is searched like a folder. In a folder it counts as binary.
///
/// A file is binary if its first 8 KB hold a NUL byte, or more than one byte in ten that is not UTF-8; text in an old
/// encoding passes, since byte-level tokens can say any byte. Empty files are no documents.
///
/// **Structure.** Opening lists documents and looks at the beginning of each; their text is read when asked for, and
/// again for each pass, so a corpus may be larger than memory (one document must be less than 2 GB).
///
/// **Rejected.** One long text of all files: validation on text that shares files with the training text flatters the
/// model. Following links to folders: the same text twice, or for ever.
public final class Corpus implements AutoCloseable {
    /// Documents to learn from and documents held out to judge the model by.
    public record Split(List<Document> train, List<Document> validation) {}

    /// One document in this many is held out.
    private static final int HELD_OUT = 20;

    private final List<Document> documents;
    private final List<Closeable> open;
    private final String description;

    private Corpus(Sources sources, String what) throws IOException {
        documents = sources.documents().stream().sorted(Comparator.comparing(Document::name)).toList();
        open = sources.open();
        if (documents.isEmpty()) {
            close();
            throw new IOException(what + ": no text there" + sources.leftOut());
        }
        description = String.format("%s: %,d document%s, %.1f MB%s", what, documents.size(),
                documents.size() == 1 ? "" : "s", size() / 1e6, sources.leftOut());
    }

    /// The documents of files and folders.
    ///
    /// @throws IOException if one of `paths` does not exist, cannot be read, is not text or broken, or if all together
    ///     hold no text; the message names the file
    public static Corpus open(List<Path> paths) throws IOException {
        if (paths.isEmpty()) {
            throw new IllegalArgumentException("a corpus needs at least one file or folder");
        }
        var sources = new Sources();
        try {
            for (Path path : paths) {
                sources.add(path);
            }
            return new Corpus(sources, paths.size() == 1 ? paths.getFirst().toString() : paths.size() + " paths");
        } catch (IOException | RuntimeException e) {
            close(sources.open());
            throw e;
        }
    }

    /// A corpus that every Java developer has: the source of the JDK in `javaHome`, the packages `java.*` of module
    /// `java.base` (29 MB). If that JDK came without `lib/src.zip`: Deckle's own source, which is much smaller.
    /// [#description()] says which it is.
    ///
    /// @param javaHome a JDK, for example `Path.of(System.getProperty("java.home"))`
    public static Corpus defaultCorpus(Path javaHome) throws IOException {
        Path zip = javaHome.resolve("lib").resolve("src.zip");
        var sources = new Sources();
        try {
            if (Files.isRegularFile(zip)) {
                sources.addZip(zip, name -> name.startsWith("java.base/java/") && name.endsWith(".java"));
                return new Corpus(sources, zip.toString());
            }
            Path home = Path.of(Corpus.class.getProtectionDomain().getCodeSource().getLocation().toURI());
            if (Files.isDirectory(home)) {
                sources.add(home.resolve("corpus"));
            } else {
                sources.addZip(home, name -> name.startsWith("corpus/"));
            }
            return new Corpus(sources, "no " + zip + ", so Deckle's own source");
        } catch (URISyntaxException e) {
            throw new IOException("no " + zip + ", and no source of Deckle beside its classes", e);
        } catch (IOException | RuntimeException e) {
            close(sources.open());
            throw e;
        }
    }

    /// One line for the user: where the text is from, how many documents and bytes, what was left out.
    public String description() {
        return description;
    }

    /// All documents, sorted by name.
    public List<Document> documents() {
        return documents;
    }

    /// Bytes of text.
    public long size() {
        return documents.stream().mapToLong(Document::size).sum();
    }

    /// Holds out one document in twenty (rounded, at least one), chosen by hashes of `seed` and the names. Of a corpus
    /// of one document its last twentieth is held out, cut at a line end if there is one near; a text of a line or two
    /// may leave nothing to hold out.
    public Split split(long seed) throws IOException {
        if (documents.size() == 1) {
            return Slice.split(documents.getFirst(), HELD_OUT);
        }
        int heldOut = Math.max(1, Math.round((float) documents.size() / HELD_OUT));
        record Ranked(long hash, int index) {}
        var ranked = new ArrayList<Ranked>();
        for (int i = 0; i < documents.size(); i++) {
            ranked.add(new Ranked(hash(documents.get(i).name(), seed), i));
        }
        ranked.sort(Comparator.comparingLong(Ranked::hash).thenComparingInt(Ranked::index));
        boolean[] held = new boolean[documents.size()];
        ranked.subList(0, heldOut).forEach(r -> held[r.index] = true);
        var train = new ArrayList<Document>();
        var validation = new ArrayList<Document>();
        for (int i = 0; i < held.length; i++) {
            (held[i] ? validation : train).add(documents.get(i));
        }
        return new Split(List.copyOf(train), List.copyOf(validation));
    }

    /// Reads `documents` on all threads of the team and gives each with its index to `action`, in no certain order and
    /// several at once.
    public static void forEach(List<Document> documents, BiConsumer<Integer, byte[]> action) throws IOException {
        try {
            Team.shared().parallelFor(documents.size(), i -> {
                try {
                    action.accept(i, documents.get(i).read());
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    /// A hash of all names and texts of `documents`, in their order: equal for equal corpora on every machine. Reads
    /// everything.
    public static String fingerprint(List<Document> documents) throws IOException {
        byte[][] hashes = new byte[documents.size()][];
        forEach(documents, (i, text) -> hashes[i] = sha256().digest(text));
        MessageDigest all = sha256();
        for (int i = 0; i < hashes.length; i++) {
            all.update(documents.get(i).name().getBytes(StandardCharsets.UTF_8));
            all.update((byte) 0);
            all.update(hashes[i]);
        }
        return HexFormat.of().formatHex(all.digest());
    }

    /// Closes the archives; documents in them can then no longer be read.
    @Override
    public void close() throws IOException {
        close(open);
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JDK has SHA-256", e);
        }
    }

    private static long hash(String name, long seed) {
        long h = Counter.mix(seed);
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            h = Counter.mix(h + b);
        }
        return h;
    }

    private static void close(List<Closeable> open) throws IOException {
        for (Closeable archive : open) {
            archive.close();
        }
    }
}
