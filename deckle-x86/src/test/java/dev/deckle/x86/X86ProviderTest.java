package dev.deckle.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.deckle.kernel.KernelProvider;
import dev.deckle.x86.emit.Linux;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class X86ProviderTest {
    @Test
    void isOffered() {
        assertTrue(X86Provider.class.getModule().getDescriptor().provides().stream()
                .anyMatch(p -> p.service().equals(KernelProvider.class.getName())
                        && p.providers().contains(X86Provider.class.getName())));
    }

    @Test
    void describesTheProcessor() {
        Cpu cpu = Cpu.detect();
        String line = new X86Provider().open().describe();
        assertTrue(line.startsWith(cpu.describe()), line);
    }

    @Test
    void givesTheReasonWhenItRefuses() {
        refuses("os.arch", "aarch64", "the processor is aarch64, not x86-64");
        refuses("os.name", "Mac OS X", "the system is Mac OS X, not Linux");
        refuses("deckle.x86.isa", "sse2", "deckle.x86.isa is avx2, avx512 or amx, not sse2");
    }

    private static void refuses(String property, String value, String reason) {
        String before = System.getProperty(property);
        System.setProperty(property, value);
        try {
            var e = assertThrows(UnsupportedOperationException.class, () -> new X86Provider().open());
            assertEquals(reason, e.getMessage());
        } finally {
            if (before == null) {
                System.clearProperty(property);
            } else {
                System.setProperty(property, before);
            }
        }
    }

    /// CPUID as we read it against CPUID as the system read it.
    @Test
    void agreesWithTheSystemAboutTheProcessor() throws Exception {
        Path info = Path.of("/proc/cpuinfo");
        assumeTrue(Files.isReadable(info), "needs /proc/cpuinfo");
        List<String> lines = Files.readAllLines(info);
        List<String> flags = Arrays.asList(value(lines, "flags").split(" "));
        Cpu cpu = Cpu.detect();
        assertFalse(cpu.brand().isBlank());
        assertEquals(flags.contains("fma"), cpu.fma());
        assertEquals(flags.contains("avx2"), cpu.avx2());
        assertEquals(flags.containsAll(List.of("avx512f", "avx512bw", "avx512dq", "avx512vl")), cpu.avx512());
        assertEquals(flags.contains("avx512_bf16"), cpu.avx512Bf16());
        assertEquals(flags.contains("amx_bf16") && flags.contains("amx_tile"), cpu.amxBf16());
    }

    private static String value(List<String> lines, String key) {
        String line = lines.stream().filter(l -> l.startsWith(key)).findFirst().orElseThrow();
        return line.substring(line.indexOf(':') + 1).strip();
    }
}
