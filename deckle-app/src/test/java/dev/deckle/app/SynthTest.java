package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.sun.net.httpserver.HttpServer;
import dev.deckle.io.Safetensors;
import dev.deckle.models.Llama;
import dev.deckle.tokenizer.BpeTrainer;
import dev.deckle.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// `deckle synth` in this process: its flags, and that `deckle align` reads what it writes.
class SynthTest {
    @TempDir
    private Path folder;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    private int run(Object... args) {
        out.reset();
        err.reset();
        List<String> all = new ArrayList<>();
        for (Object arg : args) {
            all.add(arg.toString());
        }
        return Deckle.run(new PrintStream(out), new PrintStream(err), all.toArray(String[]::new));
    }

    private String out() {
        return out.toString(StandardCharsets.UTF_8);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    private JsonObject json() {
        return JsonParser.parseString(out()).getAsJsonObject();
    }

    private Path file(String name, String... lines) throws IOException {
        return Files.write(folder.resolve(name), List.of(lines));
    }

    private Path model() throws IOException {
        Path made = Files.createDirectory(folder.resolve("model"));
        var trainer = new BpeTrainer(300, List.of("<|endoftext|>"));
        trainer.count("paper is made of fibres, a deckle of wood. ".repeat(20).getBytes(StandardCharsets.UTF_8));
        Tokenizer tokenizer = trainer.train();
        tokenizer.save(made);
        Files.writeString(made.resolve("chat_template.jinja"), "{% for m in messages %}[{{ m.role }}]{{ m.content }}"
                + "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}");
        try (Llama m = Llama.create(Llama.Config.of(tokenizer.vocabularySize(), 24, 40, 2, 4, 2, 256, false), 0, 3)) {
            Safetensors.save(made.resolve("model.safetensors"), m.parameters(), Map.of());
            Files.writeString(made.resolve("config.json"), m.configJson().toString());
        }
        return made;
    }

    private void align(String method, Path model, Path data) {
        assertEquals(0, run("align", method, "--model", model, "--data", data, "--out", folder.resolve(method),
                "--steps", 1, "--batch-size", 2, "--json"), err());
        assertTrue(json().get("loss").getAsDouble() > 0, out());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "''                                                     | METHOD is missing",
        "forward                                                | --data FILE and --out FILE are needed",
        "forward --data a --out b                               | --model DIR or --endpoint URL is needed",
        "forward --data a --out b --endpoint http://x           | --endpoint URL without --endpoint-model NAME",
        "forward --data a --out b --endpoint ftp://x --endpoint-model m    | is no http or https address",
        "forward --data a --out b --model m --endpoint http://x --endpoint-model m | only one of them writes",
        "forward --data a --out b --model m --keep reward       | --keep reward needs a --reward SPEC",
        "forward --data a --out b --model m --keep all --reward format     | not with --keep all",
        "forward --data a --out b --model m --reward nonsense   | --reward: no reward nonsense",
        "forward --data a --out b --model m --samples 0         | --samples 0: 1 or more",
        "forward --data a --out b --model m --temperature -1    | --temperature",
        "forward --data a --out b --endpoint http://x --endpoint-model m --reward length:5 | count tokens",
        "forward --data a --out b --endpoint http://x --endpoint-model m --api-key-env NO_SUCH_KEY | is not set",
        "backward --data a --out b --endpoint http://x --endpoint-model m  | the perplexity of answers",
        "preferences --data a --out b --model m                 | one judge is needed",
        "preferences --data a --out b --reward format --judge-model m      | one judge is needed",
        "preferences --data a --out b --model m --reward format --samples 1| a pair takes two",
        "structure --data a --out b --keep all                  | --keep is forward's",
        "structure --data a --out b --rationalise               | --rationalise is backward's",
        "forward --template x                                   | --template is structure's",
        "sideways                                               | sideways"})
    void wrongUsage(String args, String said) {
        List<Object> all = new ArrayList<>(List.of("synth"));
        if (!args.isEmpty()) {
            all.addAll(List.of(args.split(" +")));
        }
        assertEquals(2, run(all.toArray()), err());
        assertTrue(err().contains(said), err());
        assertEquals("", out());
    }

    @Test
    void missingFilesAreOneLine() {
        assertEquals(1, run("synth", "structure", "--data", folder.resolve("no.jsonl"), "--out",
                folder.resolve("o.jsonl")));
        assertEquals("deckle: " + folder.resolve("no.jsonl") + ": there is no such file\n", err());
    }

    @Test
    void theTemplateNeedsNothing() {
        assertEquals(0, run("synth", "structure", "--template", "paper"), err());
        assertTrue(out().startsWith("Write a joke about this: paper\n") && out().contains("<punchline>"), out());
    }

    @Test
    void jokesAreRead() throws IOException {
        Path data = file("written.jsonl",
                "{\"prompt\":\"cranes\",\"completion\":\"<buildup>A crane lifts.<assumption>a "
                        + "machine<connector>crane<reinterpretation>a bird<punchline>It wanted fish.\"}",
                "{\"prompt\":\"cranes\",\"completion\":\"no\"}");
        Path records = folder.resolve("jokes.jsonl");
        assertEquals(0, run("synth", "structure", "--data", data, "--out", records, "--json"), err());
        assertEquals("{\"out\":\"" + records + "\",\"records\":1,\"rows\":2,\"samples\":2,"
                + "\"rejected:_no_part_of_a_joke\":1}\n", out());
        align("sft", model(), records);
        assertEquals(0, run("synth", "structure", "--data", data, "--out", records), err());
        assertEquals(records + ": records 0; rows 2, rows done before 2\n", out());
        assertEquals(1, Files.readAllLines(records).size());
    }

    @Test
    void pairsForDpo() throws IOException {
        Path model = model();
        Path data = file("prompts.jsonl", "{\"prompt\":\"paper\"}", "{\"prompt\":\"wood\"}");
        Path records = folder.resolve("pairs.jsonl");
        Path reward = file("Short.java", "public class Short implements dev.deckle.reward.RewardFunction {",
                "    public double[] rewards(java.util.List<Sample> samples) {",
                "        return samples.stream().mapToDouble(s -> -s.completionIds().length).toArray();", "    }", "}");
        assertEquals(0, run("synth", "preferences", "--data", data, "--out", records, "--model", model, "--samples", 6,
                "--temperature", 1, "--stop", "a", "e", "--max-new-tokens", 90, "--reward", reward, "--json"),
                err());
        assertEquals(2, json().get("records").getAsInt(), out());
        JsonObject pair = JsonParser.parseString(Files.readAllLines(records).getFirst()).getAsJsonObject();
        assertTrue(pair.get("chosen").isJsonArray());
        assertEquals("model", pair.getAsJsonObject("provenance").get("model").getAsString());
        align("dpo", model, records);
    }

    @Test
    void aServersMajorityForSft() throws IOException {
        Path data = file("prompts.jsonl", "{\"prompt\":\"paper\"}", "{\"prompt\":\"wood\"}");
        Path records = folder.resolve("records.jsonl");
        AtomicInteger asked = new AtomicInteger();
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            try (exchange) {
                exchange.getRequestBody().readAllBytes();
                int n = asked.getAndIncrement();
                byte[] said = ("{\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"content\":\"<think>way " + n
                        + "</think>" + (n % 3 == 0 && n < 12 ? "no" : "yes") + "\"}}]}")
                        .getBytes(StandardCharsets.UTF_8);
                exchange.sendResponseHeaders(n == 7 ? 400 : 200, said.length);
                exchange.getResponseBody().write(said);
            }
        });
        server.start();
        try {
            Object[] args = {"synth", "forward", "--data", data, "--out", records, "--endpoint",
                "http://127.0.0.1:" + server.getAddress().getPort(), "--endpoint-model", "m", "--samples", 6, "--keep",
                "majority", "--json"};
            assertEquals(1, run(args));
            assertTrue(err().lines().toList().getLast().contains("answers 400"), err());
            assertEquals(4, Files.readAllLines(records).size());
            assertEquals(0, run(args), err());
            assertEquals(13, asked.get()); // one of them twice
            assertEquals(1, json().get("rows_done_before").getAsInt(), out());
            assertEquals(8, Files.readAllLines(records).size());
        } finally {
            server.stop(0);
        }
        assertTrue(Files.readString(records).contains("\"model\":\"m at 127.0.0.1:"));
        assertFalse(Files.readString(records).contains("no\"}]"), Files.readString(records));
        align("sft", model(), records);
    }
}
