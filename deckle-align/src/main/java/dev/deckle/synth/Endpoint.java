package dev.deckle.synth;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import dev.deckle.io.Shown;
import dev.deckle.json.StrictJson;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// A model behind an OpenAI-compatible endpoint: `POST .../v1/chat/completions`.
///
/// What may pass is tried again: no connection, no answer in time, 408, 425, 429, 5xx, and an answer that is no
/// completion. Between tries it waits 1, 2, 4, ... seconds, at most 30, or as long as the server says in `Retry-After`.
/// What will not pass, such as a wrong key, fails at once. Thoughts that come apart from the answer, as
/// `reasoning_content` or `reasoning`, are put before it as `<think>...</think>`.
public final class Endpoint implements Author {
    /// @param address `http(s)://HOST[:PORT]`, with `/v1` or the whole path if wanted
    /// @param model as the server calls it
    /// @param key of the user; never shown
    /// @param topP 1 is left out
    /// @param timeout of a request, its whole answer included
    /// @param retries tries after the first
    public record Settings(
            URI address, String model, Optional<String> key, double temperature, double topP, int maxNewTokens,
            List<String> stop, Duration timeout, int retries) {
        public Settings {
            String scheme = String.valueOf(address.getScheme());
            if (!scheme.matches("https?") || address.getHost() == null) {
                throw new IllegalArgumentException(
                        "the endpoint " + Shown.brief(address.toString()) + " is no http or https address");
            }
            if (address.getUserInfo() != null) {
                throw new IllegalArgumentException("the endpoint's address holds a password: give the key's variable");
            }
            stop = List.copyOf(stop);
        }
    }

    /// Waits; a test does not.
    @FunctionalInterface
    interface Pause {
        void sleep(Duration time) throws InterruptedException;
    }

    private static final int LARGEST_ANSWER = 16 << 20;
    private static final Duration LONGEST_BACKOFF = Duration.ofSeconds(30);
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(10);

    private final Settings settings;
    private final URI address;
    private final Pause pause;
    private final HttpClient client;

    public Endpoint(Settings settings) {
        this(settings, Thread::sleep);
    }

    Endpoint(Settings settings, Pause pause) {
        this.settings = settings;
        this.pause = pause;
        address = completions(settings.address);
        // not HTTP/2: without TLS it would be asked for by an upgrade, which small servers do not understand
        client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(settings.timeout).build();
    }

    static URI completions(URI given) {
        String text = given.toString().replaceFirst("/+$", "");
        String path = "/chat/completions";
        return URI.create(text.endsWith(path) ? text : text.endsWith("/v1") ? text + path : text + "/v1" + path);
    }

    @Override
    public List<Text> write(Ask ask, int count, long seed) throws IOException {
        List<Text> texts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            texts.add(persistently(body(ask, seed + i)));
        }
        return texts;
    }

    private String body(Ask ask, long seed) {
        JsonObject o = new JsonObject();
        o.addProperty("model", settings.model);
        JsonArray messages = new JsonArray();
        if (!ask.system().isEmpty()) {
            messages.add(LocalAuthor.message("system", ask.system()));
        }
        messages.add(LocalAuthor.message("user", ask.user()));
        o.add("messages", messages);
        o.addProperty("temperature", settings.temperature);
        if (settings.topP < 1) {
            o.addProperty("top_p", settings.topP);
        }
        o.addProperty("max_tokens", settings.maxNewTokens);
        o.addProperty("seed", seed);
        if (!settings.stop.isEmpty()) {
            JsonArray stop = new JsonArray();
            settings.stop.forEach(stop::add);
            o.add("stop", stop);
        }
        return o.toString();
    }

    /// What may pass.
    private static final class Passing extends Exception {
        private static final long serialVersionUID = 1;
        private final transient Optional<Duration> wait;

        Passing(String message, Optional<Duration> wait) {
            super(message, null, false, false);
            this.wait = wait;
        }
    }

    private Text persistently(String body) throws IOException {
        Duration backoff = Duration.ofSeconds(1);
        for (int tries = 1;; tries++) {
            try {
                return once(body);
            } catch (Passing e) {
                Duration wait = e.wait.orElse(backoff);
                boolean tooLong = wait.compareTo(LONGEST_WAIT) > 0;
                if (tries > settings.retries || tooLong) {
                    throw new IOException(address + ": " + e.getMessage() + (tooLong
                            ? "; it wants to be asked again only in " + wait.toSeconds() + " s"
                            : ", after " + tries + (tries == 1 ? " try" : " tries")), e);
                }
                sleep(wait);
                backoff = backoff.multipliedBy(2).compareTo(LONGEST_BACKOFF) < 0
                        ? backoff.multipliedBy(2)
                        : LONGEST_BACKOFF;
            }
        }
    }

    private void sleep(Duration time) throws IOException {
        try {
            pause.sleep(time);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(address + ": interrupted", e);
        }
    }

    private Text once(String body) throws IOException, Passing {
        HttpRequest.Builder request = HttpRequest.newBuilder(address)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString(body));
        settings.key.ifPresent(key -> request.header("Authorization", "Bearer " + key));
        HttpResponse<String> answer = send(request.build());
        int status = answer.statusCode();
        if (status == 200) {
            return text(answer.body());
        }
        String said = "answers " + status + complaint(answer.body());
        if (status == 408 || status == 425 || status == 429 || status >= 500) {
            throw new Passing(said, answer.headers().firstValue("Retry-After").flatMap(Endpoint::wait));
        }
        throw new IOException(address + ": " + said);
    }

    private HttpResponse<String> send(HttpRequest request) throws IOException, Passing {
        var strings = HttpResponse.BodyHandlers.ofString(StandardCharsets.UTF_8);
        CompletableFuture<HttpResponse<String>> answer =
                client.sendAsync(request, HttpResponse.BodyHandlers.limiting(strings, LARGEST_ANSWER));
        try {
            // the request's own timeout would end with the headers, and an answer can stop in the middle
            return answer.get(settings.timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (TimeoutException _) {
            answer.cancel(true);
            throw new Passing("no answer within " + settings.timeout.toMillis() / 1000.0 + " s", Optional.empty());
        } catch (ExecutionException e) {
            String why = e.getCause().getMessage();
            throw new Passing("no answer: " + (why == null ? e.getCause().getClass().getSimpleName()
                    : Shown.brief(why)), Optional.empty());
        } catch (InterruptedException e) {
            answer.cancel(true);
            Thread.currentThread().interrupt();
            throw new IOException(address + ": interrupted", e);
        }
    }

    /// Seconds, or the time to wait for (RFC 9110, 10.2.3).
    private static Optional<Duration> wait(String header) {
        try {
            long seconds = Long.parseLong(header.strip());
            return seconds < 0 ? Optional.empty() : Optional.of(Duration.ofSeconds(seconds));
        } catch (NumberFormatException _) {
            // a date, then
        }
        try {
            Instant when = ZonedDateTime.parse(header.strip(), DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
            Duration left = Duration.between(Instant.now(), when);
            return Optional.of(left.isNegative() ? Duration.ZERO : left);
        } catch (DateTimeException _) {
            return Optional.empty();
        }
    }

    private static Text text(String body) throws Passing {
        try {
            JsonObject choice = StrictJson.object(body, "").getAsJsonArray("choices").get(0).getAsJsonObject();
            JsonObject message = choice.getAsJsonObject("message");
            if (!message.has("content")) {
                throw new IllegalStateException();
            }
            String thoughts = string(message.get("reasoning_content")).or(() -> string(message.get("reasoning")))
                    .map(String::strip).orElse("");
            String content = string(message.get("content")).orElse(""); // null where a filter took it
            boolean apart = !thoughts.isEmpty() && !content.contains(Reasoned.CLOSE);
            boolean finished = string(choice.get("finish_reason")).filter(r -> !r.equals("stop")).isEmpty();
            return new Text(apart ? Reasoned.before(thoughts) + content : content, finished);
        } catch (IOException | RuntimeException _) {
            throw new Passing("answers 200 with what is no chat completion: "
                    + (body.isBlank() ? "nothing" : Shown.brief(body.strip())), Optional.empty());
        }
    }

    private static Optional<String> string(JsonElement e) {
        return e instanceof JsonPrimitive p && p.isString() ? Optional.of(p.getAsString()) : Optional.empty();
    }

    /// The server's own words, if it has some: `{"error": {"message": ...}}` or a text.
    private static String complaint(String body) {
        String said = body.strip();
        try {
            JsonElement error = StrictJson.object(body, "").get("error");
            said = string(error instanceof JsonObject o ? o.get("message") : error).orElse(said);
        } catch (IOException _) {
            // not JSON: as it is
        }
        return said.isEmpty() ? "" : " (" + Shown.brief(said) + ")";
    }

    @Override
    public String name() {
        return settings.model + " at " + address.getHost() + (address.getPort() < 0 ? "" : ":" + address.getPort());
    }

    @Override
    public boolean converses() {
        return true;
    }

    @Override
    public boolean separate() {
        return true;
    }

    @Override
    public int[] ids(String text) {
        return new int[0];
    }

    @Override
    public void close() {
        client.shutdownNow();
    }
}
