package dev.deckle.distributed;

import dev.deckle.io.AtomicFile;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// When a rank did what: spans of time in lanes, one lane a thread. Written as a Chrome trace, which
/// `chrome://tracing` and ui.perfetto.dev open.
///
/// **Clock.** Durations are of the monotonic clock; where they begin is tied to the time of day once, so that processes
/// and hosts share an axis as well as their clocks agree.
///
/// **Bound.** It keeps the first spans up to a number, and then counts: the trace ends with a mark that says how many
/// are missing. [#hidden()] is over what was kept.
public final class Timeline {
    /// What the rank computes, and waits for.
    public static final String COMPUTE = "compute";
    /// What is sent meanwhile.
    public static final String COMMUNICATION = "communication";

    private static final int MOST_SPANS = 500_000; // about 60 MB of trace
    private static final Timeline OFF = new Timeline(0);
    private static final Span NOTHING = () -> {};

    /// A stretch of time that ends when it is closed.
    @FunctionalInterface
    public interface Span extends AutoCloseable {
        @Override
        void close();
    }

    /// `start` in ns of the time of day, `waiting` where the thread did nothing but wait.
    private record Event(String lane, String name, long start, long duration, long bytes, boolean waiting) {}

    private final long mostSpans;
    private final long origin; // the time of day when System.nanoTime() was 0
    private final List<Event> events = new ArrayList<>();
    private long missing;

    /// One that keeps the first 500,000 spans.
    public Timeline() {
        this(MOST_SPANS);
    }

    /// One that keeps the first `mostSpans` spans.
    public Timeline(int mostSpans) {
        this.mostSpans = mostSpans;
        Instant now = Instant.now();
        origin = now.getEpochSecond() * 1_000_000_000 + now.getNano() - System.nanoTime();
    }

    /// One that keeps nothing, at no cost.
    public static Timeline off() {
        return OFF;
    }

    public boolean isOff() {
        return this == OFF;
    }

    /// Begins a span; `bytes`, if not 0, is shown with it. From any thread.
    public Span open(String lane, String name, long bytes) {
        return open(lane, name, bytes, false);
    }

    /// Begins a span of the compute lane in which the thread only waits for communication: [Work#await()] inside it.
    public Span waiting(String name) {
        return open(COMPUTE, name, 0, true);
    }

    private Span open(String lane, String name, long bytes, boolean waiting) {
        if (isOff()) {
            return NOTHING;
        }
        long start = System.nanoTime();
        return () -> add(new Event(lane, name, origin + start, System.nanoTime() - start, bytes, waiting));
    }

    /// A span that is over, in ns of the time of day.
    void add(String lane, String name, long start, long duration, long bytes, boolean waiting) {
        add(new Event(lane, name, start, duration, bytes, waiting));
    }

    private synchronized void add(Event e) {
        if (events.size() < mostSpans) {
            events.add(e);
        } else {
            missing++;
        }
    }

    // ---- how much of the communication was hidden

    /// The share of the time of communication during which the compute thread was not waiting for it: 1 where all of it
    /// was hidden behind computation (or there was none), 0 where nothing was.
    public synchronized double hidden() {
        List<long[]> sent = union(events.stream().filter(e -> e.lane.equals(COMMUNICATION)).toList());
        List<long[]> waited = union(events.stream().filter(Event::waiting).toList());
        long all = 0;
        for (long[] s : sent) {
            all += s[1] - s[0];
        }
        return all == 0 ? 1 : 1 - (double) overlap(sent, waited) / all;
    }

    /// Disjoint intervals in order.
    private static List<long[]> union(List<Event> spans) {
        List<long[]> merged = new ArrayList<>();
        spans.stream().map(e -> new long[] {e.start, e.start + e.duration})
                .sorted((a, b) -> Long.compare(a[0], b[0]))
                .forEach(next -> {
                    if (merged.isEmpty() || merged.getLast()[1] < next[0]) {
                        merged.add(next);
                    } else {
                        merged.getLast()[1] = Math.max(merged.getLast()[1], next[1]);
                    }
                });
        return merged;
    }

    private static long overlap(List<long[]> a, List<long[]> b) {
        long sum = 0;
        for (int i = 0, j = 0; i < a.size() && j < b.size();) {
            long from = Math.max(a.get(i)[0], b.get(j)[0]);
            long to = Math.min(a.get(i)[1], b.get(j)[1]);
            sum += Math.max(0, to - from);
            if (a.get(i)[1] < b.get(j)[1]) {
                i++;
            } else {
                j++;
            }
        }
        return sum;
    }

    // ---- the trace

    /// What this rank did, to be brought together by [Communicator#allGather(byte\[\])] and given to [#write].
    public synchronized byte[] events(int rank) {
        var bytes = new ByteArrayOutputStream();
        try (var out = new DataOutputStream(bytes)) {
            out.writeInt(rank);
            out.writeLong(missing);
            out.writeInt(events.size());
            for (Event e : events) {
                out.writeUTF(e.lane);
                out.writeUTF(e.name);
                out.writeLong(e.start);
                out.writeLong(e.duration);
                out.writeLong(e.bytes);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return bytes.toByteArray();
    }

    private record Rank(int rank, long missing, List<Event> events) {
        static Rank read(byte[] bytes) {
            try (var in = new DataInputStream(new ByteArrayInputStream(bytes))) {
                int rank = in.readInt();
                long missing = in.readLong();
                List<Event> events = new ArrayList<>();
                for (int n = in.readInt(); n > 0; n--) {
                    events.add(new Event(in.readUTF(), in.readUTF(), in.readLong(), in.readLong(), in.readLong(),
                            false));
                }
                return new Rank(rank, missing, events);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /// Writes the events of all ranks as one trace: a process a rank, a thread a lane, microseconds since the first of
    /// all events.
    public static void write(Path file, List<byte[]> ofRanks) {
        List<Rank> ranks = ofRanks.stream().map(Rank::read).toList();
        long first = ranks.stream().flatMap(r -> r.events.stream()).mapToLong(Event::start).min().orElse(0);
        List<String> lines = new ArrayList<>();
        for (Rank r : ranks) {
            lines.add(metadata("process_name", r.rank, 0, "rank " + r.rank));
            Map<String, Integer> lanes = new LinkedHashMap<>();
            long last = first;
            for (Event e : r.events) {
                if (!lanes.containsKey(e.lane)) {
                    lanes.put(e.lane, lanes.size() + 1);
                    lines.add(metadata("thread_name", r.rank, lanes.size(), e.lane));
                }
                lines.add("{\"ph\":\"X\",\"pid\":" + r.rank + ",\"tid\":" + lanes.get(e.lane) + ",\"ts\":"
                        + micros(e.start - first) + ",\"dur\":" + micros(e.duration) + ",\"name\":" + quoted(e.name)
                        + (e.bytes == 0 ? "}" : ",\"args\":{\"bytes\":" + e.bytes + "}}"));
                last = Math.max(last, e.start + e.duration);
            }
            if (r.missing > 0) {
                lines.add("{\"ph\":\"i\",\"s\":\"p\",\"pid\":" + r.rank + ",\"tid\":1,\"ts\":" + micros(last - first)
                        + ",\"name\":\"cut here: " + r.missing + " more spans were not kept\"}");
            }
        }
        AtomicFile.write(file, ("{\"traceEvents\":[\n" + String.join(",\n", lines) + "\n]}\n")
                .getBytes(StandardCharsets.UTF_8));
    }

    private static String metadata(String what, int rank, int lane, String name) {
        return "{\"ph\":\"M\",\"pid\":" + rank + ",\"tid\":" + lane + ",\"name\":\"" + what + "\",\"args\":{\"name\":"
                + quoted(name) + "}}";
    }

    private static String micros(long nanos) {
        return String.format(Locale.ROOT, "%d.%03d", nanos / 1000, nanos % 1000);
    }

    private static String quoted(String s) {
        var b = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            b.append(c < 0x20 ? String.format(Locale.ROOT, "\\u%04x", (int) c) : c == '"' || c == '\\' ? "\\" + c : c);
        }
        return b.append('"').toString();
    }
}
