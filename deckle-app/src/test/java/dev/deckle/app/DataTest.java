package dev.deckle.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// The verbs of `deckle data` in this process.
class DataTest {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();

    @TempDir
    private Path folder;

    private int run(String... args) {
        out.reset();
        err.reset();
        return Deckle.run(new PrintStream(out), new PrintStream(err), args);
    }

    private String out() {
        return out.toString(StandardCharsets.UTF_8);
    }

    private String err() {
        return err.toString(StandardCharsets.UTF_8);
    }

    private JsonObject json() {
        assertEquals(1, out().lines().count(), out());
        return JsonParser.parseString(out()).getAsJsonObject();
    }

    private String file(long... values) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asLongBuffer().put(values);
        return Files.write(folder.resolve("numbers.bin"), bytes.array()).toString();
    }

    @Test
    void theGroupAloneIsWrongUsage() {
        assertEquals(2, run("data"));
        assertEquals("", out());
        assertTrue(err().contains("median") && err().contains("integers"), err());
        assertEquals(0, run("data", "--help"));
        assertTrue(out().contains("median") && out().contains("integers"), out());
    }

    @Test
    void theMedianIsALineForPeople() throws IOException {
        assertEquals(0, run("data", "median", file(9, -3, 4)));
        assertTrue(out().startsWith("median 4 of 3 integers\n1 pass in "), out());
        assertEquals(2, out().lines().count());
        assertEquals(0, run("data", "median", file(9, -3, 4, 5)));
        assertTrue(out().startsWith("median 4.5 of 4 integers, the mean of 4 and 5\n"), out());
        assertEquals("", err());
    }

    @Test
    void theMedianIsExactInJson() throws IOException {
        assertEquals(0, run("data", "median", "--json", file(Long.MAX_VALUE, 1, 0, Long.MAX_VALUE - 1,
                Long.MAX_VALUE - 2, Long.MAX_VALUE)));
        JsonObject o = json();
        assertEquals(List.of("count", "median", "lower", "upper", "passes", "seconds", "bytes_per_second",
                "memory_bytes", "max_heap_bytes"), o.keySet().stream().limit(9).toList());
        assertEquals(6, o.get("count").getAsLong());
        assertTrue(out().contains("\"median\":9223372036854775805.5,"), out());
        assertEquals(new BigDecimal("9223372036854775805.5"), o.get("median").getAsBigDecimal());
        assertEquals(Long.MAX_VALUE - 2, o.get("lower").getAsLong());
        assertEquals(Long.MAX_VALUE - 1, o.get("upper").getAsLong());
        assertEquals(1, o.get("passes").getAsInt());
        assertTrue(o.get("seconds").getAsDouble() > 0 && o.get("bytes_per_second").getAsLong() > 0, out());
        assertTrue(o.get("memory_bytes").getAsLong() <= 32_000_000, out());
        assertEquals(Runtime.getRuntime().maxMemory(), o.get("max_heap_bytes").getAsLong());
    }

    @ParameterizedTest
    @ValueSource(strings = {"uniform", "normal", "equal", "sorted", "two-values", "adversarial"})
    void aFileAndTheSameIntegersGeneratedAgree(String distribution) {
        String file = folder.resolve("numbers.bin").toString();
        for (String count : new String[] {"20000", "20001"}) {
            String[] generate = {"--generate", "11," + count, "--distribution", distribution};
            assertEquals(0, run(Stream.concat(Stream.of("data", "integers", file, "--overwrite"), Stream.of(generate))
                    .toArray(String[]::new)), err());
            assertEquals(0, run("data", "median", file, "--memory", "10KB", "--json"), err());
            JsonObject written = json();
            assertEquals(0, run(Stream.concat(Stream.of("data", "median", "--memory", "1MB", "--json"),
                    Stream.of(generate)).toArray(String[]::new)), err());
            JsonObject generated = json();
            for (String key : new String[] {"count", "median", "lower", "upper"}) {
                assertEquals(written.get(key), generated.get(key), key);
            }
            assertTrue(written.get("memory_bytes").getAsLong() <= 10_000, written.toString());
        }
    }

    @Test
    void verboseTellsThePasses() {
        assertEquals(0, run("data", "median", "--generate", "1,1000", "--memory", "1KB", "-v"));
        assertTrue(err().startsWith("pass 1: counted from -9223372036854775808 to 9223372036854775807 in 64 buckets of "
                + "2^58: the median is in bucket "), err());
        assertTrue(err().contains("\npass 2: gathered the "), err());
    }

    @Test
    void integersAreNotOverwrittenInSilence() throws IOException {
        String file = folder.resolve("numbers.bin").toString();
        assertEquals(0, run("data", "integers", file, "--generate", "1,10", "--json"));
        assertEquals(80, json().get("bytes").getAsLong());
        assertEquals(1, run("data", "integers", file, "--generate", "1,20"));
        assertEquals("deckle: " + file + ": exists already; --overwrite replaces it\n", err());
        assertEquals(80, Files.size(Path.of(file)));
        assertEquals(0, run("data", "integers", file, "--generate", "1,20", "--overwrite"));
        assertTrue(out().startsWith(file + ": 20 uniform integers of seed 1, 160 bytes in "), out());
        assertEquals(160, Files.size(Path.of(file)));
        assertEquals(1, run("data", "integers", folder.toString(), "--generate", "1,20", "--overwrite"));
        assertEquals("deckle: " + folder + ": not a regular file, so it is not replaced\n", err());
    }

    @Test
    void failuresNameTheFile() throws IOException {
        String missing = folder.resolve("missing").toString();
        assertEquals(1, run("data", "median", missing));
        assertEquals("deckle: " + missing + ": no such file or folder\n", err());
        String odd = Files.write(folder.resolve("odd"), new byte[17]).toString();
        assertEquals(1, run("data", "median", odd, "--json"));
        assertEquals(
                "deckle: " + odd + ": 17 bytes are no 64-bit integers: expected a multiple of 8, 1 are left over\n",
                err());
        assertEquals(1, run("data", "median", file()));
        assertTrue(err().endsWith("numbers.bin: empty, expected 64-bit integers\n"), err());
        assertEquals(1, run("data", "integers", missing, "--generate", "1,1000000000000000000"));
        assertTrue(err().startsWith("deckle: " + missing + ": 1,000,000,000,000,000,000 integers need 8,000,000,000.0 "
                + "GB and its disk has "), err());
        assertEquals(1, err().lines().count());
        assertEquals("", out());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '"', value = {
        "data medain                                  | deckle data: no verb medain; did you mean median?",
        "data median                                  | give either a FILE of integers or --generate SEED,COUNT",
        "data median f --generate 1,2                 | give either a FILE of integers or --generate SEED,COUNT",
        "data median f g                              | nothing is expected at g",
        "data median f --memory 23                    | --memory: 23 bytes are too few, it takes at least 24:",
        "data median f --memory 0.5GB                 | '0.5GB' is no amount of memory such as 512KB, 32MB or 1GB",
        "data median f --memory -1KB                  | '-1KB' is no amount of memory",
        "data median f --memory 99999999999GB         | '99999999999GB' is no amount of memory",
        "data median f --memory 1TB                   | '1TB' is no amount of memory",
        "data median f --distribution normal          | --distribution says how --generate SEED,COUNT spreads",
        "data median --generate 1                     | '1' is not SEED,COUNT, two integers such as 1,1000000",
        "data median --generate 1,2,3                 | '1,2,3' is not SEED,COUNT",
        "data median --generate 1,many                | '1,many' is not SEED,COUNT",
        "data median --generate 1,0                   | --generate 1,0: a count of integers is 1 to 2^60 - 1, not 0",
        "data median --generate 1,9 --distribution x  | no distribution x: expected one of uniform, normal, equal,",
        "data integers f                              | --generate SEED,COUNT is needed",
        "data integers --generate 1,2                 | FILE",
    })
    void wrongUsageIsToldInALineOrTwo(String args, String told) {
        assertEquals(2, run(args.split(" +")), err());
        assertEquals("", out());
        assertTrue(err().contains(told), err());
        assertTrue(err().lines().count() <= 2, err());
    }

    @ParameterizedTest
    @CsvSource({"24,24", "24B,24", "512KB,512000", "512kb,512000", "32MB,32000000", "32M,32000000", "32 MB,32000000",
        "1GB,1000000000"})
    void amountsOfMemory(String text, long bytes) {
        assertEquals(bytes, new ByteSize().convert(text));
    }
}
