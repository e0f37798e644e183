package dev.deckle.io;

import dev.deckle.compute.Pointwise;
import dev.deckle.kernel.Native;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Storage;
import dev.deckle.memory.Workspace;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Function;

/// Files of named tensors in the safetensors format: eight bytes of header length (little endian), a JSON header that
/// gives each tensor its type, shape and place, then the data in row-major order.
///
/// Reading maps the file: no copy, and no memory beyond the header. Every file is taken as hostile: lengths, offsets,
/// products of shapes, overlaps and gaps are checked before anything is touched.
public final class Safetensors {
    private static final long MAX_HEADER = 100_000_000;
    private static final Set<String> NOT_YET = Set.of("F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "I8",
            "I16", "U16", "U32", "U64", "C64");
    private static final double BEYOND_F16 = 65_520; // from here on a number rounds to infinity

    private final Map<String, Tensor> tensors;
    private final Map<String, String> metadata;

    private Safetensors(Map<String, Tensor> tensors, Map<String, String> metadata) {
        this.tensors = tensors;
        this.metadata = metadata;
    }

    /// Tensors by name, in the order of the header. They live as long as the memory that the file was mapped in.
    public Map<String, Tensor> tensors() {
        return tensors;
    }

    /// The header's `__metadata__`.
    public Map<String, String> metadata() {
        return metadata;
    }

    /// Opens a file.
    ///
    /// @throws IllegalArgumentException in one line that names the file, if it is not what it should be
    /// @throws UncheckedIOException if it cannot be read
    public static Safetensors open(Path file, ModelMemory memory) {
        try {
            return parse(file, memory);
        } catch (IOException e) {
            throw new UncheckedIOException(file + ": cannot be read: " + e.getMessage(), e);
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw new IllegalArgumentException(file + ": " + e.getMessage(), e);
        }
    }

    private static Safetensors parse(Path file, ModelMemory memory) throws IOException {
        long size = Files.size(file);
        if (size < 8) {
            throw new IllegalArgumentException("not a safetensors file: " + size + " bytes, at least 8 expected");
        }
        String header;
        long dataStart;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long length = read(channel, 0, 8).getLong();
            if (length < 2 || length > Math.min(MAX_HEADER, size - 8)) {
                throw new IllegalArgumentException("the header claims " + Long.toUnsignedString(length)
                        + " bytes, the file has " + (size - 8) + " after its length");
            }
            header = utf8(read(channel, 8, (int) length));
            dataStart = 8 + length;
        }
        if (!(Json.parse(header) instanceof Map<?, ?> entries)) {
            throw new IllegalArgumentException("the header is not a JSON object");
        }
        Map<String, String> metadata = new LinkedHashMap<>();
        List<Place> places = new ArrayList<>();
        for (var e : entries.entrySet()) {
            String name = (String) e.getKey();
            if (name.equals("__metadata__")) {
                object(name, e.getValue()).forEach((k, v) -> metadata.put((String) k, String.valueOf(v)));
                continue;
            }
            Place p = place(name, object(name, e.getValue()), size - dataStart);
            places.add(p);
        }
        checkCover(places, size - dataStart);
        Storage mapped = memory.map(file);
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        places.forEach(p -> tensors.put(p.name, tensor(p, mapped, dataStart, memory)));
        return new Safetensors(tensors, metadata);
    }

    private record Place(String name, DType dtype, Shape shape, long begin, long end) {}

    private static Place place(String name, Map<?, ?> entry, long dataBytes) {
        DType dtype = dtype(name, entry.get("dtype"));
        Shape shape = shape(name, entry.get("shape"));
        if (!(entry.get("data_offsets") instanceof List<?> o) || o.size() != 2
                || !(o.get(0) instanceof Long begin) || !(o.get(1) instanceof Long end)) {
            throw new IllegalArgumentException("tensor " + shown(name) + ": data_offsets must be two whole numbers");
        }
        if (begin < 0 || end < begin || end > dataBytes) {
            throw new IllegalArgumentException("tensor " + shown(name) + ": data_offsets " + o + " lie outside of the "
                    + dataBytes + " bytes of data; is the file cut off?");
        }
        long expected = Math.multiplyExact(shape.numel(), (long) dtype.bytes());
        if (end - begin != expected) {
            throw new IllegalArgumentException(
                    "tensor " + shown(name) + ": " + dtype + " " + shape + " needs " + expected
                            + " bytes, data_offsets " + o + " give " + (end - begin));
        }
        return new Place(name, dtype, shape, begin, end);
    }

    /// Tensors must follow each other without overlap, gap or rest, as the format demands.
    private static void checkCover(List<Place> places, long dataBytes) {
        long at = 0;
        for (Place p : places.stream().sorted(Comparator.comparingLong(Place::begin).thenComparingLong(Place::end))
                .toList()) {
            if (p.begin != at) {
                throw new IllegalArgumentException(
                        "tensor " + shown(p.name) + " begins at byte " + p.begin + " of the data, "
                                + at + " expected: tensors must not overlap nor leave gaps");
            }
            at = p.end;
        }
        if (at != dataBytes) {
            throw new IllegalArgumentException((dataBytes - at) + " bytes after the last tensor belong to none");
        }
    }

    private static Tensor tensor(Place p, Storage mapped, long dataStart, ModelMemory memory) {
        long at = dataStart + p.begin;
        if (at % p.dtype.bytes() == 0 || p.shape.numel() == 0) {
            return Tensor.on(mapped, p.shape.numel() == 0 ? 0 : at, p.dtype, p.shape);
        }
        Tensor aligned = Tensor.empty(memory, p.dtype, p.shape); // the header's length is odd: elements straddle words
        Native.copy(mapped.address() + at, aligned.address(), aligned.bytes());
        return aligned;
    }

    private static DType dtype(String name, Object value) {
        if (value instanceof String s) {
            for (DType t : DType.values()) {
                if (t.name().equals(s)) {
                    return t;
                }
            }
        }
        if (value instanceof String s && NOT_YET.contains(s)) {
            throw new IllegalArgumentException("tensor " + shown(name) + ": dtype " + s + " is not read yet: take the "
                    + "weights in F32, BF16 or F16");
        }
        String found = value == null ? "is missing, expected" : Shown.brief(value.toString()) + " is not";
        throw new IllegalArgumentException(
                "tensor " + shown(name) + ": dtype " + found + " one of " + List.of(DType.values()));
    }

    private static Shape shape(String name, Object value) {
        if (!(value instanceof List<?> l) || l.size() > 16) {
            throw new IllegalArgumentException("tensor " + shown(name) + ": shape must be a list of whole numbers");
        }
        int[] dims = new int[l.size()];
        for (int i = 0; i < dims.length; i++) {
            if (!(l.get(i) instanceof Long d) || d < 0 || d > Integer.MAX_VALUE) {
                throw new IllegalArgumentException(
                        "tensor " + shown(name) + ": shape " + Shown.brief(l.toString())
                                + " has a size that is not a whole "
                                + "number from 0 to " + Integer.MAX_VALUE);
            }
            dims[i] = (int) (long) d;
        }
        try {
            return Shape.of(dims);
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(
                    "tensor " + shown(name) + ": shape " + Shown.brief(l.toString()) + " has too many elements", e);
        }
    }

    private static Map<?, ?> object(String name, Object value) {
        if (value instanceof Map<?, ?> m) {
            return m;
        }
        throw new IllegalArgumentException("header entry " + shown(name) + " must be a JSON object");
    }

    private static ByteBuffer read(FileChannel channel, long at, int bytes) throws IOException {
        ByteBuffer b = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
        while (b.hasRemaining() && channel.read(b, at + b.position()) > 0) {
            // until it is full
        }
        return b.flip();
    }

    private static String utf8(ByteBuffer b) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(b).toString();
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException("the header is not UTF-8", e);
        }
    }

    /// Writes tensors under their names, whole or not at all: to a temporary name beside `file`, synced, then renamed.
    public static void save(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
        save(file, tensors, metadata, (_, t) -> t.dtype());
    }

    /// The same in other types: each tensor is cast when its turn comes, so that one copy at a time is in memory.
    ///
    /// @param dtype of each tensor in the file
    /// @throws IllegalArgumentException if a finite number does not fit its type
    public static void save(
            Path file, Map<String, Tensor> tensors, Map<String, String> metadata,
            BiFunction<String, Tensor, DType> dtype) {
        save(file, tensors, metadata, dtype, (_, t) -> t);
    }

    /// The same with tensors that are made of these.
    ///
    /// @param values what is written for a tensor, of its shape; called once for each, when its turn comes
    public static void save(
            Path file, Map<String, Tensor> tensors, Map<String, String> metadata,
            BiFunction<String, Tensor, DType> dtype, BiFunction<String, Tensor, Tensor> values) {
        List<Entry> entries = tensors.entrySet().stream()
                .map(e -> new Entry(e.getKey(), dtype.apply(e.getKey(), e.getValue()), e.getValue().shape()))
                .toList();
        save(file, entries, metadata,
                e -> cast(e.name, values.apply(e.name, tensors.get(e.name)).detach(), e.dtype));
    }

    /// What a file is to hold under a name.
    public record Entry(String name, DType dtype, Shape shape) {}

    /// The same with tensors that are there only when their turn comes.
    ///
    /// @param values the tensor of an entry; called once for each, in their order
    public static void save(
            Path file, List<Entry> entries, Map<String, String> metadata, Function<Entry, Tensor> values) {
        StringBuilder header = new StringBuilder("{\"__metadata__\":{");
        String comma = "";
        for (var e : metadata.entrySet()) {
            header.append(comma).append(quote(e.getKey())).append(':').append(quote(e.getValue()));
            comma = ",";
        }
        header.append('}');
        long at = 0;
        for (Entry e : entries) {
            long bytes = e.shape.numel() * e.dtype.bytes();
            header.append(',').append(quote(e.name)).append(":{\"dtype\":\"").append(e.dtype)
                    .append("\",\"shape\":")
                    .append(Arrays.toString(e.shape.toArray()).replace(" ", "")).append(",\"data_offsets\":[")
                    .append(at).append(',').append(at + bytes).append("]}");
            at += bytes;
        }
        header.append('}');
        byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
        int padded = text.length + 7 & -8; // so that the data begins at a multiple of eight
        ByteBuffer head = ByteBuffer.allocate(8 + padded).order(ByteOrder.LITTLE_ENDIAN).putLong(padded).put(text);
        while (head.hasRemaining()) {
            head.put((byte) ' ');
        }
        AtomicFile.write(file, channel -> {
            AtomicFile.writeAll(channel, head.flip());
            for (Entry e : entries) {
                try (Workspace _ = Workspace.open()) { // for the copies
                    Tensor c = Pointwise.contiguous(values.apply(e));
                    for (long done = 0; done < c.bytes();) {
                        int part = (int) Math.min(1 << 24, c.bytes() - done);
                        AtomicFile.writeAll(channel, Native.ALL.asSlice(c.address() + done, part).asByteBuffer());
                        done += part;
                    }
                    Reference.reachabilityFence(c);
                }
            }
        });
    }

    private static Tensor cast(String name, Tensor t, DType dtype) {
        if (t.dtype() == dtype) {
            return t;
        }
        if (dtype == DType.F16 && t.numel() > 0) {
            double largest = t.to(DType.F32).reshape(-1).abs().max(0, false).item();
            if (largest >= BEYOND_F16 && largest < Double.POSITIVE_INFINITY) {
                throw new IllegalArgumentException("tensor " + shown(name) + " holds " + (float) largest
                        + ", which is beyond F16: take BF16");
            }
        }
        return t.to(dtype);
    }

    private static String shown(String name) {
        return '"' + Shown.brief(name) + '"';
    }

    private static String quote(String s) {
        StringBuilder b = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\') {
                b.append('\\').append(c);
            } else if (c < 0x20) {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        return b.append('"').toString();
    }
}
