package dev.deckle.synth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// An endpoint that works, and all ways in which it does not.
class EndpointTest {
    private static final Author.Ask ASK = new Author.Ask("be brief", "what?", "what? ");

    private static String failure(Server server, int retries) {
        try (Endpoint e = server.endpoint(retries)) {
            IOException failed = assertThrows(IOException.class, () -> e.write(ASK, 1, 5));
            assertFalse(failed.getMessage().contains("\n") || failed.getMessage().contains("secret"),
                    failed.getMessage());
            return failed.getMessage().replace(server.address().toString(), "HERE");
        }
    }

    @Test
    void asksAsTheProtocolSays() throws IOException {
        try (Server server = new Server((x, request, n) -> Server.say(x, "text " + n, n == 1 ? "stop" : "length"));
                Endpoint e = server.endpoint(0)) {
            assertEquals(List.of(new Author.Text("text 1", true), new Author.Text("text 2", false)),
                    e.write(ASK, 2, 5));
            assertEquals("{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
                    + "{\"role\":\"user\",\"content\":\"what?\"}],\"temperature\":0.5,\"max_tokens\":77,\"seed\":6,"
                    + "\"stop\":[\"END\"]}", server.requests.get(1).toString());
            assertEquals("Bearer secret", server.keys.getFirst());
            assertEquals("m at 127.0.0.1:" + server.address().getPort(), e.name());
        }
    }

    @Test
    void thoughtsThatComeApartArePutBefore() throws IOException {
        try (Server server = new Server((x, request, n) -> Server.send(x, 200, "{\"choices\":[{\"message\":{"
                + "\"reasoning_content\":\" so \",\"content\":\"4\"}}]}")); Endpoint e = server.endpoint(0)) {
            assertEquals(new Author.Text("<think>\nso\n</think>\n4", true), e.write(ASK, 1, 0).getFirst());
        }
    }

    @ParameterizedTest
    @CsvSource({"http://h:1,/v1/chat/completions", "http://h:1/,/v1/chat/completions",
        "http://h:1/v1,/v1/chat/completions", "http://h:1/a/chat/completions,/a/chat/completions",
        "http://h:1/openai/,/openai/v1/chat/completions"})
    void findsThePath(String given, String path) {
        assertEquals("http://h:1" + path, Endpoint.completions(URI.create(given)).toString());
    }

    @Test
    void theServerSaysHowLongToWait() throws IOException {
        try (Server server = new Server((x, request, n) -> {
            if (n < 3) {
                x.getResponseHeaders().set("Retry-After", n == 1 ? "7"
                        : DateTimeFormatter.RFC_1123_DATE_TIME.format(ZonedDateTime.now(ZoneOffset.UTC)
                                .minusHours(1)));
                Server.send(x, 429, "{\"error\":{\"message\":\"slow down\"}}");
            } else {
                Server.say(x, "at last");
            }
        }); Endpoint e = server.endpoint(2)) {
            assertEquals("at last", e.write(ASK, 1, 5).getFirst().text());
            assertEquals(List.of(Duration.ofSeconds(7), Duration.ZERO), server.pauses);
        }
    }

    @Test
    void nobodyWaitsForAnHour() throws IOException {
        try (Server server = new Server((x, request, n) -> {
            x.getResponseHeaders().set("Retry-After", "3600");
            Server.send(x, 429, "");
        })) {
            assertEquals("HERE/v1/chat/completions: answers 429; it wants to be asked again only in 3600 s",
                    failure(server, 5));
            assertEquals(1, server.requests.size());
        }
    }

    @Test
    void waitsLongerEachTimeAndNotForEver() throws IOException {
        try (Server server = new Server((x, request, n) -> Server.send(x, 500, "oops\n<html>"))) {
            assertEquals("HERE/v1/chat/completions: answers 500 (oops\\u000a<html>), after 8 tries",
                    failure(server, 7));
            assertEquals(List.of(1L, 2L, 4L, 8L, 16L, 30L, 30L),
                    server.pauses.stream().map(Duration::toSeconds).toList());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"garbage", "{}", "{\"choices\":[]}", "{\"choices\":[{\"message\":{}}]}", "[1]", ""})
    void garbageIsTriedAgain(String body) throws IOException {
        try (Server server = new Server((x, request, n) -> Server.send(x, 200, body))) {
            String said = failure(server, 2);
            assertTrue(said.contains("no chat completion: " + (body.isEmpty() ? "nothing" : body)), said);
            assertTrue(said.endsWith("after 3 tries"), said);
            assertEquals(3, server.requests.size());
        }
    }

    @Test
    void aWrongKeyFailsAtOnce() throws IOException {
        try (Server server = new Server((x, request, n) -> Server.send(x, 401, "{\"error\":\"bad key\"}"))) {
            assertEquals("HERE/v1/chat/completions: answers 401 (bad key)", failure(server, 5));
            assertEquals(1, server.requests.size());
        }
    }

    /// Nothing at all, and half an answer.
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void silenceEnds(boolean half) throws IOException {
        Server[] self = new Server[1];
        try (Server server = new Server((x, request, n) -> {
            if (half) {
                x.sendResponseHeaders(200, 1000);
                x.getResponseBody().write("{\"choices\"".getBytes(StandardCharsets.UTF_8));
                x.getResponseBody().flush();
            }
            self[0].hang();
        })) {
            self[0] = server;
            try (Endpoint e = server.endpoint(1, Duration.ofMillis(150))) {
                IOException failed = assertThrows(IOException.class, () -> e.write(ASK, 1, 5));
                assertTrue(failed.getMessage().endsWith("no answer within 0.15 s, after 2 tries"),
                        failed.getMessage());
            }
        }
    }

    @Test
    void nobodyListens() throws IOException {
        Server server = new Server((x, request, n) -> Server.say(x, "never"));
        server.close();
        String said = failure(server, 1);
        assertTrue(said.startsWith("HERE/v1/chat/completions: no answer: ") && said.endsWith("after 2 tries"), said);
    }

    @Test
    void refusesWhatIsNoAddress() {
        for (String bad : List.of("ftp://x", "localhost:8000", "http://user:pw@x", "nothing")) {
            assertThrows(IllegalArgumentException.class, () -> new Endpoint.Settings(URI.create(bad), "m",
                    Optional.empty(), 1, 1, 1, List.of(), Duration.ofSeconds(1), 0), bad);
        }
    }
}
