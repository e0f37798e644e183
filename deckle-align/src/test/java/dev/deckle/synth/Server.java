package dev.deckle.synth;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/// A small endpoint on the loopback that does what a test says.
final class Server implements AutoCloseable {
    /// What one request gets.
    @FunctionalInterface
    interface Answer {
        void to(HttpExchange exchange, JsonObject request, int number) throws IOException;
    }

    final List<JsonObject> requests = Collections.synchronizedList(new ArrayList<>());
    final List<String> keys = Collections.synchronizedList(new ArrayList<>());
    final List<Duration> pauses = Collections.synchronizedList(new ArrayList<>());
    private final HttpServer server;
    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private final CountDownLatch over = new CountDownLatch(1);

    Server(Answer answer) throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/v1/chat/completions", exchange -> {
            try (exchange) {
                String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
                JsonObject request = JsonParser.parseString(body).getAsJsonObject();
                int number;
                synchronized (requests) {
                    requests.add(request);
                    number = requests.size();
                }
                keys.add(String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")));
                answer.to(exchange, request, number);
            }
        });
        server.start();
    }

    static void send(HttpExchange exchange, int status, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    static void say(HttpExchange exchange, String content) throws IOException {
        say(exchange, content, "stop");
    }

    static void say(HttpExchange exchange, String content, String reason) throws IOException {
        JsonObject message = LocalAuthor.message("assistant", content);
        JsonObject choice = new JsonObject();
        choice.add("message", message);
        choice.addProperty("finish_reason", reason);
        send(exchange, 200, "{\"choices\":[" + choice + "]}");
    }

    /// Says nothing until the test ends.
    void hang() {
        try {
            over.await();
        } catch (InterruptedException _) {
            Thread.currentThread().interrupt();
        }
    }

    static String user(JsonObject request) {
        var messages = request.getAsJsonArray("messages");
        return messages.get(messages.size() - 1).getAsJsonObject().get("content").getAsString();
    }

    URI address() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    }

    Endpoint endpoint(int retries) {
        return endpoint(retries, Duration.ofSeconds(60));
    }

    /// Waits for no time, but notes how long it should have.
    Endpoint endpoint(int retries, Duration timeout) {
        return new Endpoint(new Endpoint.Settings(address(), "m", Optional.of("secret"), 0.5, 1, 77, List.of("END"),
                timeout, retries), pauses::add);
    }

    @Override
    public void close() {
        over.countDown();
        server.stop(0);
        threads.shutdownNow();
    }
}
