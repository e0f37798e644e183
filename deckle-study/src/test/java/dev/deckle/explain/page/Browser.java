package dev.deckle.explain.page;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/// A Chromium without a window, driven through the DevTools protocol: a process of our own, a WebSocket on loopback at
/// a port that the system chooses, one tab.
final class Browser implements AutoCloseable {
    private static final int SECONDS = 60;

    private final Process process;
    private final HttpClient http = HttpClient.newHttpClient();
    private final WebSocket socket;
    private final String session;
    private final AtomicInteger calls = new AtomicInteger();
    private final Map<Integer, CompletableFuture<JsonObject>> open = new ConcurrentHashMap<>();
    private final Queue<JsonObject> events = new ConcurrentLinkedQueue<>();

    /// @throws IllegalStateException if there is no chromium, saying what to install
    Browser(Path profile) throws Exception {
        try {
            process = new ProcessBuilder("chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
                    "--no-first-run",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    "--hide-scrollbars", "--remote-debugging-port=0", "--user-data-dir=" + profile, "about:blank")
                    .redirectErrorStream(true)
                    .redirectOutput(profile.resolve("chromium.log").toFile())
                    .start();
        } catch (IOException e) {
            throw new IllegalStateException("the browser profile needs chromium on the PATH (apt install chromium)", e);
        }
        try {
            socket = http.newWebSocketBuilder().buildAsync(address(profile), new Listener()).get(SECONDS,
                    TimeUnit.SECONDS);
            JsonObject target = send("", "Target.createTarget", Map.of("url", "about:blank"));
            session = send("", "Target.attachToTarget",
                    Map.of("targetId", target.get("targetId").getAsString(), "flatten", true))
                    .get("sessionId").getAsString();
            for (String domain : List.of("Page", "Runtime", "Network", "Log")) {
                send(domain + ".enable", Map.of());
            }
        } catch (Exception e) {
            stop();
            throw e;
        }
    }

    /// Chromium writes its port and its path into its profile.
    private URI address(Path profile) throws Exception {
        Path file = profile.resolve("DevToolsActivePort");
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
        while (System.nanoTime() < end && process.isAlive()) {
            List<String> lines = Files.exists(file) ? Files.readAllLines(file) : List.of();
            if (lines.size() >= 2) {
                return URI.create("ws://127.0.0.1:" + lines.get(0) + lines.get(1));
            }
            Thread.sleep(50);
        }
        throw new IllegalStateException(
                "chromium did not start: " + Files.readString(profile.resolve("chromium.log")));
    }

    /// Calls a method of the tab and waits for its result.
    JsonObject send(String method, Map<String, ?> parameters) throws Exception {
        return send(session, method, parameters);
    }

    private JsonObject send(String session, String method, Map<String, ?> parameters) throws Exception {
        int id = calls.incrementAndGet();
        JsonObject call = new JsonObject();
        call.addProperty("id", id);
        call.addProperty("method", method);
        call.add("params", new Gson().toJsonTree(parameters));
        if (!session.isEmpty()) {
            call.addProperty("sessionId", session);
        }
        CompletableFuture<JsonObject> answer = new CompletableFuture<>();
        open.put(id, answer);
        socket.sendText(call.toString(), true).get(SECONDS, TimeUnit.SECONDS);
        JsonObject got = answer.get(SECONDS, TimeUnit.SECONDS);
        if (got.has("error")) {
            throw new IllegalStateException(method + ": " + got.get("error"));
        }
        return got.getAsJsonObject("result");
    }

    private final class Listener implements WebSocket.Listener {
        private final StringBuilder text = new StringBuilder();

        @Override
        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
            text.append(part);
            if (last) {
                JsonObject message = JsonParser.parseString(text.toString()).getAsJsonObject();
                text.setLength(0);
                if (message.has("id")) {
                    open.remove(message.get("id").getAsInt()).complete(message);
                } else {
                    events.add(message);
                }
            }
            socket.request(1);
            return null;
        }
    }

    void size(int width, int height) throws Exception {
        send("Emulation.setDeviceMetricsOverride",
                Map.of("width", width, "height", height, "deviceScaleFactor", 1, "mobile", width < 600));
    }

    void theme(String scheme) throws Exception {
        send("Emulation.setEmulatedMedia",
                Map.of("features", List.of(Map.of("name", "prefers-color-scheme", "value", scheme))));
    }

    void scripts(boolean on) throws Exception {
        send("Emulation.setScriptExecutionDisabled", Map.of("value", !on));
    }

    void open(Path page) throws Exception {
        events.removeIf(e -> e.get("method").getAsString().equals("Page.loadEventFired"));
        send("Page.navigate", Map.of("url", page.toUri().toString()));
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
        while (events("Page.loadEventFired").isEmpty()) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException(page + " did not load");
            }
            Thread.sleep(20);
        }
    }

    List<JsonObject> events(String method) {
        return events.stream()
                .filter(e -> e.get("method").getAsString().equals(method))
                .map(e -> e.getAsJsonObject("params"))
                .toList();
    }

    void press(String key) throws Exception {
        int code = Map.of("ArrowLeft", 37, "ArrowRight", 39, "Tab", 9).get(key);
        for (String type : List.of("rawKeyDown", "keyUp")) {
            send("Input.dispatchKeyEvent",
                    Map.of("type", type, "key", key, "code", key, "windowsVirtualKeyCode", code));
        }
        // the change of address reaches the page as an event of its own: two tasks later it has
        evaluate("new Promise(done => setTimeout(() => setTimeout(done, 30)))");
    }

    /// The value of an expression, or of its promise; works with scripts off too.
    JsonElement evaluate(String expression) throws Exception {
        JsonObject got = send("Runtime.evaluate",
                Map.of("expression", expression, "returnByValue", true, "awaitPromise", true));
        if (got.has("exceptionDetails")) {
            throw new IllegalStateException(got.get("exceptionDetails").toString());
        }
        return got.getAsJsonObject("result").get("value");
    }

    void screenshot(Path png) throws Exception {
        JsonObject got = send("Page.captureScreenshot", Map.of("format", "png"));
        Files.write(png, Base64.getDecoder().decode(got.get("data").getAsString()));
    }

    @Override
    public void close() {
        socket.abort();
        stop();
    }

    /// Ours and what it started; nothing else.
    private void stop() {
        http.shutdownNow();
        List<ProcessHandle> children = process.descendants().toList();
        process.destroy();
        children.forEach(ProcessHandle::destroy);
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                children.forEach(ProcessHandle::destroyForcibly);
            }
            process.waitFor();
            for (ProcessHandle child : children) {
                child.onExit().get(10, TimeUnit.SECONDS); // the profile folder can be deleted when all are gone
            }
        } catch (Exception e) {
            throw new UncheckedIOException(new IOException("chromium does not end", e));
        }
    }
}
