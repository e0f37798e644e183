package dev.deckle.distributed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TimelineTest {
    private static Timeline sending(long... intervals) {
        Timeline t = new Timeline();
        for (int i = 0; i < intervals.length; i += 2) {
            t.add(Timeline.COMMUNICATION, "all_reduce", intervals[i], intervals[i + 1] - intervals[i], 8, false);
        }
        return t;
    }

    private static Timeline waiting(Timeline t, long... intervals) {
        for (int i = 0; i < intervals.length; i += 2) {
            t.add(Timeline.COMPUTE, "wait", intervals[i], intervals[i + 1] - intervals[i], 0, true);
        }
        return t;
    }

    @Test
    void whatIsHiddenIsWhatNobodyWaitsFor() {
        assertEquals(1, sending().hidden());
        assertEquals(1, sending(10, 20).hidden());
        assertEquals(0, waiting(sending(10, 20), 5, 30).hidden());
        assertEquals(0.7, waiting(sending(10, 20), 17, 30).hidden(), 1e-12);
        assertEquals(0.75, waiting(sending(0, 10, 20, 30), 8, 23).hidden(), 1e-12);
        assertEquals(1, waiting(sending(0, 10, 20, 30), 10, 20, 40, 50).hidden());
        // overlapping and in no order: sent 0..30, waited 5..15 and 28..30
        assertEquals(1 - 12 / 30.0, waiting(sending(20, 30, 0, 12, 10, 25), 28, 40, 10, 15, 5, 12, 6, 8).hidden(),
                1e-12);
    }

    @Test
    void whatComputesIsNoWait() {
        Timeline t = sending(0, 10);
        t.add(Timeline.COMPUTE, "forward", 0, 10, 0, false);
        assertEquals(1, t.hidden());
    }

    @Test
    void offKeepsNothing() {
        try (var _ = Timeline.off().open(Timeline.COMMUNICATION, "x", 1); var _ = Timeline.off().waiting("y")) {
            assertSame(Timeline.off().waiting("a"), Timeline.off().open("b", "c", 0));
        }
        assertEquals(new Timeline().events(3).length, Timeline.off().events(3).length);
    }

    @Test
    void writesATraceThatBrowsersOpen(@TempDir Path folder) throws IOException {
        List<byte[]> all = new ArrayList<>();
        for (int r = 0; r < 2; r++) {
            Timeline t = new Timeline(3);
            t.add(Timeline.COMPUTE, "forward \"layer\\1\"\n", 1_000_000_000_000_002_000L + r, 1_500, 0, false);
            t.add(Timeline.COMMUNICATION, "all_gather", 1_000_000_000_000_000_000L + 2_000_000, 7, 4096, false);
            t.add(Timeline.COMPUTE, "wait", 1_000_000_000_000_000_000L + 3_000_000, 1_000, 0, true);
            t.add(Timeline.COMPUTE, "late", 1, 1, 0, false);
            t.add(Timeline.COMPUTE, "later", 2, 1, 0, false);
            all.add(t.events(r));
        }
        Path file = folder.resolve("trace.json");
        Timeline.write(file, all);
        List<JsonObject> events = new ArrayList<>();
        JsonParser.parseString(Files.readString(file)).getAsJsonObject().getAsJsonArray("traceEvents")
                .forEach(e -> events.add(e.getAsJsonObject()));
        List<String> shown = events.stream().filter(e -> e.get("pid").getAsInt() == 1).map(TimelineTest::show).toList();
        assertEquals(List.of(
                "M process_name rank 1 lane 0",
                "M thread_name compute lane 1",
                "X forward \"layer\\1\"\n lane 1 at 0.001 for 1.500",
                "M thread_name communication lane 2",
                "X all_gather lane 2 at 1998.000 for 0.007 of 4096",
                "X wait lane 1 at 2998.000 for 1.000",
                "i cut here: 2 more spans were not kept lane 1 at 2999.000"), shown);
    }

    private static String show(JsonObject e) {
        String name = e.get("name").getAsString();
        JsonObject args = e.getAsJsonObject("args");
        return e.get("ph").getAsString() + " " + name
                + (args != null && args.has("name") ? " " + args.get("name").getAsString() : "")
                + " lane " + e.get("tid").getAsInt()
                + (e.has("ts") ? " at " + e.get("ts").getAsString() : "")
                + (e.has("dur") ? " for " + e.get("dur").getAsString() : "")
                + (args != null && args.has("bytes") ? " of " + args.get("bytes").getAsLong() : "");
    }

    @Test
    void collectivesAreSpans() {
        Timeline[] timelines = {new Timeline(), new Timeline()};
        ThreadRanks.run(2, r -> timelines[r], c -> new CollectiveChecks(c).counts());
        for (Timeline t : timelines) {
            String text = new String(t.events(0), java.nio.charset.StandardCharsets.ISO_8859_1);
            for (Verb v : Verb.values()) {
                assertTrue(text.contains(v.label()), v.label());
            }
        }
    }
}
