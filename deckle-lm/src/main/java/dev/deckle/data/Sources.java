package dev.deckle.data;

import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Predicate;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/// Finds the documents of a [Corpus] in files, folders and archives.
final class Sources {
    private static final Set<String> BUILD_OUTPUT = Set.of("target", "build", "dist", "node_modules", "__pycache__");
    private static final int HEAD = 1 << 13;
    private static final int MAX_DOCUMENT = Integer.MAX_VALUE - 16;

    private final List<Document> documents = new ArrayList<>();
    private final List<Closeable> open = new ArrayList<>();
    private int binaries;

    List<Document> documents() {
        return documents;
    }

    /// The archives to be closed in the end.
    List<Closeable> open() {
        return open;
    }

    /// Said of the binaries that were left out; "" if there were none.
    String leftOut() {
        return binaries == 0 ? "" : String.format(" (%,d binary file%s left out)", binaries, binaries == 1 ? "" : "s");
    }

    void add(Path path) throws IOException {
        if (Files.isDirectory(path)) {
            addFolder(path);
        } else if (!Files.exists(path)) {
            throw new IOException(path + ": no such file or folder");
        } else if (isArchive(path)) {
            addZip(path, name -> true);
        } else if (!Files.isRegularFile(path)) {
            throw new IOException(path + ": neither a file nor a folder");
        } else {
            String name = path.toAbsolutePath().normalize().getFileName().toString();
            if (!addFile(path, name)) {
                throw new IOException(path + ": not text (a NUL byte, or more than a tenth is not UTF-8)");
            }
        }
    }

    private void addFolder(Path folder) throws IOException {
        Path root = folder.toRealPath();
        Path base = root.getParent() == null ? root : root.getParent();
        Files.walkFileTree(root, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path dir, BasicFileAttributes attributes) {
                return dir.equals(root) || wanted(dir) ? FileVisitResult.CONTINUE : FileVisitResult.SKIP_SUBTREE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) throws IOException {
                if (wanted(file) && Files.isRegularFile(file)
                        && !addFile(file, base.relativize(file).toString().replace('\\', '/'))) {
                    binaries++;
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException e) throws IOException {
                throw unreadable(file, e);
            }

            private boolean wanted(Path p) {
                return Sources.wanted(p.getFileName().toString(), Files.isDirectory(p));
            }
        });
    }

    private static boolean wanted(String name, boolean folder) {
        return (!name.startsWith(".") || name.equals(".")) && !(folder && BUILD_OUTPUT.contains(name));
    }

    /// Adds the documents of a file; false if it is binary.
    private boolean addFile(Path file, String name) throws IOException {
        byte[] head;
        try (InputStream in = Files.newInputStream(file)) {
            head = in.readNBytes(HEAD);
        } catch (IOException e) {
            throw unreadable(file, e);
        }
        if (!isText(head)) {
            return false;
        }
        if (name.endsWith(".jsonl")) {
            try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
                JsonLines.read(in, file.toString(), (line, text) -> documents.add(
                        new FileLine(file, name, line.number(), line.offset(), line.length(), text.length)));
            }
            return true;
        }
        long size = head.length < HEAD ? head.length : Files.size(file);
        if (size > 0) {
            documents.add(new FileText(file, name, checked(size, file.toString())));
        }
        return true;
    }

    /// Adds the documents of those entries of an archive that `filter` takes.
    void addZip(Path file, Predicate<String> filter) throws IOException {
        ZipFile zip;
        try {
            zip = new ZipFile(file.toFile());
        } catch (IOException e) {
            throw new IOException(file + ": broken zip file: " + e.getMessage(), e);
        }
        open.add(zip);
        String base = file.getFileName().toString() + "/";
        for (ZipEntry entry : Collections.list(zip.entries())) {
            if (entry.isDirectory() || !filter.test(entry.getName()) || !wantedPath(entry.getName())) {
                continue;
            }
            addEntry(zip, entry, base + entry.getName(), file + ": " + entry.getName());
        }
    }

    private void addEntry(ZipFile zip, ZipEntry entry, String name, String where) throws IOException {
        byte[] head;
        try (InputStream in = zip.getInputStream(entry)) {
            head = in.readNBytes(HEAD);
        } catch (IOException e) {
            throw new IOException(where + ": broken zip file: " + e.getMessage(), e);
        }
        if (!isText(head)) {
            binaries++;
        } else if (name.endsWith(".jsonl")) { // kept in memory: to read one line again is to inflate all before it
            try (InputStream in = new BufferedInputStream(zip.getInputStream(entry))) {
                JsonLines.read(in, where, (line, text) -> documents.add(new Text(name + ":" + line.number(), text)));
            }
        } else if (entry.getSize() > 0) {
            documents.add(new ZipText(zip, entry, name, checked(entry.getSize(), where)));
        }
    }

    private static boolean wantedPath(String entry) {
        String[] parts = entry.split("/");
        for (int i = 0; i < parts.length; i++) {
            if (!wanted(parts[i], i + 1 < parts.length)) {
                return false;
            }
        }
        return true;
    }

    private static boolean isArchive(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        return name.endsWith(".zip") || name.endsWith(".jar");
    }

    /// Whether this looks like the beginning of a text.
    static boolean isText(byte[] head) {
        int wrong = 0;
        for (int i = 0; i < head.length;) {
            if (head[i] == 0) {
                return false;
            }
            int n = characterLength(head, i);
            if (n == 0 && i + 4 <= head.length) { // a character cut off at the end of the head is not wrong
                wrong++;
            }
            i += Math.max(1, n);
        }
        return wrong <= head.length / 10;
    }

    private static int characterLength(byte[] t, int i) {
        int n = t[i] >= 0 ? 1 : (t[i] & 0xE0) == 0xC0 ? 2 : (t[i] & 0xF0) == 0xE0 ? 3 : (t[i] & 0xF8) == 0xF0 ? 4 : 0;
        for (int k = 1; k < n; k++) {
            if (i + k >= t.length || (t[i + k] & 0xC0) != 0x80) {
                return 0;
            }
        }
        return n;
    }

    private static long checked(long size, String where) throws IOException {
        if (size > MAX_DOCUMENT) {
            throw new IOException(String.format(
                    "%s: %.1f GB; one document can have 2: split it, or make it .jsonl with a document a line",
                    where, size / 1e9));
        }
        return size;
    }

    private static IOException unreadable(Path file, IOException e) {
        String why = switch (e) {
            case NoSuchFileException _ -> "no such file";
            case AccessDeniedException _ -> "no permission to read it";
            default -> "cannot be read: " + e.getMessage();
        };
        return new IOException(file + ": " + why, e);
    }

    private record FileText(Path file, String name, long size) implements Document {
        @Override
        public byte[] read() throws IOException {
            try {
                return Files.readAllBytes(file);
            } catch (IOException e) {
                throw unreadable(file, e);
            }
        }
    }

    private record FileLine(Path file, String fileName, long number, long offset, int length, long size)
            implements Document {
        @Override
        public String name() {
            return fileName + ":" + number;
        }

        @Override
        public byte[] read() throws IOException {
            byte[] line = new byte[length];
            try (var in = new RandomAccessFile(file.toFile(), "r")) {
                in.seek(offset);
                in.readFully(line);
            } catch (IOException e) {
                throw new IOException(file + ": line " + number + " cannot be read again: has the file changed?", e);
            }
            return JsonLines.text(line, line.length, file + ": line " + number);
        }
    }

    private record ZipText(ZipFile zip, ZipEntry entry, String name, long size) implements Document {
        @Override
        public byte[] read() throws IOException {
            String problem = zip.getName() + ": " + entry.getName() + ": broken zip file: ";
            try (InputStream in = zip.getInputStream(entry)) {
                byte[] text = in.readNBytes((int) size);
                if (text.length < size || in.read() >= 0) {
                    throw new IOException("its size is not the " + size + " bytes that it names");
                }
                return text;
            } catch (IOException e) {
                throw new IOException(problem + e.getMessage(), e);
            }
        }
    }

    private record Text(String name, byte[] text) implements Document {
        @Override
        public long size() {
            return text.length;
        }

        @Override
        public byte[] read() {
            return text.clone();
        }
    }
}
