package dev.deckle.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;

import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Asm.Mem;
import dev.deckle.x86.emit.Asm.Reg;
import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// Every emitted kernel, read back by another program: the bytes are checked on machines that cannot run them too.
class DisassemblyTest {
    /// `1f: 62 f1 7c 48 10 07  vmovups (%rdi),%zmm0`, with tabs between the three parts.
    private static final Pattern LINE = Pattern.compile("\\s*([0-9a-f]+):\\t(?:[0-9a-f]{2} )+\\s*\\t(\\S+)\\s*(.*)");

    private record Instruction(String name, String operands) {}

    @TempDir
    Path dir;

    @ParameterizedTest
    @CsvSource({"AVX2, vfmadd231ps", "AVX512, vfmadd231ps", "AVX512, vdpbf16ps"})
    void everyKernelIsWhatItShouldBe(Isa isa, String multiply) throws Exception {
        Code code = new Code(isa, multiply.equals("vdpbf16ps") ? Asm.VDPBF16PS : Asm.VFMADD231PS,
                Optional.empty());
        Map<String, byte[]> functions = new LinkedHashMap<>();
        code.functions.forEach((name, f) -> functions.put(name, f.bytes()));
        List<Code.Entry> entries = new ArrayList<>();
        TreeMap<Integer, Instruction> all = disassemble(functions, entries);
        for (Code.Entry entry : entries) {
            List<Instruction> body = List.copyOf(all.subMap(entry.start(), entry.end()).values());
            String[] words = entry.name().split(" ");
            int n = isa.lanes;
            int last = List.of("tile", "dot").contains(words[0]) ? Integer.parseInt(words[words.length - 1]) : 0;
            boolean one = entry.name().contains("ONE_MASKED");
            boolean masked = entry.name().contains("MASKED");
            int vectors = one ? 1 : 2;
            boolean wide = isa == Isa.AVX512;
            switch (words[0]) {
                case "tile" -> {
                    int steps = 3; // two in the loop, and the last of an odd number
                    expect(entry, body, multiply, steps * last * vectors);
                    expect(entry, body, "vbroadcastss", steps * last);
                    expect(entry, body, "vxorps", last * vectors);
                    expect(entry, body, "vaddps", last * vectors);
                    int stores = last * vectors;
                    if (wide) {
                        expect(entry, body, "vmovups", steps * vectors + (masked ? last : 0) + stores);
                        expect(entry, body, "kmovw", masked ? 1 : 0);
                    } else {
                        expect(entry, body, "vmaskmovps", masked ? steps + 2 * last : 0);
                        expect(entry, body, "vmovups",
                                masked ? (vectors - 1) * (steps + last) + 1 : steps * vectors + stores);
                    }
                }
                case "dot" -> {
                    expect(entry, body, multiply, 2 * 4 * last);
                    expect(entry, body, "vhaddps", 3 * last);
                    expect(entry, body, "vextractf128", last);
                    expect(entry, body, "vshuff32x4", wide ? 4 * last : 0);
                }
                case "transpose", "transposeEdge", "roundAndTranspose" -> {
                    for (String unpack : List.of("vunpcklps", "vunpckhps", "vunpcklpd", "vunpckhpd")) {
                        expect(entry, body, unpack, n / 2);
                    }
                    expect(entry, body, wide ? "vshuff32x4" : "vperm2f128", wide ? 32 : 8);
                    expect(entry, body, wide ? "vperm2f128" : "vshuff32x4", 0);
                    expect(entry, body, "vcvtne2ps2bf16", words[0].startsWith("round") ? n : 0);
                }
                case "across" -> {
                    boolean ready = words[1].equals("READY");
                    int rows = ready || words.length == 3 ? 1 : 2;
                    expect(entry, body, wide ? "kmovw" : "vmaskmovps", 1);
                    boolean floats = words[1].equals("FLOATS");
                    expect(entry, body, "vcvtne2ps2bf16", floats ? 1 : 0);
                    expect(entry, body, "vpermw", floats ? 1 : 0);
                    boolean halves = words[1].equals("HALVES");
                    expect(entry, body, "vpmovzxwd", halves ? rows : 0);
                    expect(entry, body, "vpslld", halves ? rows - 1 : 0);
                    expect(entry, body, "vpord", halves ? rows - 1 : 0);
                }
                case "round" -> expect(entry, body, "vcvtneps2bf16", 2);
                case "toTiles" -> expect(entry, body, "vcvtne2ps2bf16", words[1].equals("FLOATS") ? 1 : 0);
                case "acrossToTiles" -> {
                    boolean floats = words[1].equals("FLOATS");
                    expect(entry, body, "vcvtne2ps2bf16", floats ? n : 0);
                    expect(entry, body, "vpermw", floats ? n : 0);
                    expect(entry, body, "vpmovzxwd", floats ? 0 : 2 * n);
                    expect(entry, body, "vpord", floats ? 0 : n);
                    expect(entry, body, "vshuff32x4", 32);
                }
                default -> throw new AssertionError(entry);
            }
            expect(entry, body, "vzeroupper", 1);
            expect(entry, body, "ret", 1);
            assertEquals("ret", body.getLast().name, entry.name());
            assertEquals(count(body, "push"), count(body, "pop"), entry.name());
            boolean anyWide = body.stream().anyMatch(i -> i.operands.contains("zmm"));
            assertEquals(wide, anyWide, entry.name() + " has the registers of its instruction set");
        }
    }

    /// All that is made of formulas: real instructions of the instruction set at hand, and no others.
    @ParameterizedTest
    @EnumSource
    void everyRoutineHasTheInstructionsOfItsSet(Isa isa) throws Exception {
        Map<String, byte[]> functions = new LinkedHashMap<>();
        routines(isa).forEach((name, k) -> {
            Routine.Finished f = k.finished();
            functions.put(name, Arrays.copyOf(f.bytes(), f.end()));
        });
        assertTrue(functions.size() > 70, functions.keySet().toString());
        List<Code.Entry> entries = new ArrayList<>();
        TreeMap<Integer, Instruction> all = disassemble(functions, entries);
        boolean wide = isa == Isa.AVX512;
        for (Code.Entry entry : entries) {
            List<Instruction> body = List.copyOf(all.subMap(entry.start(), entry.end()).values());
            assertEquals("ret", body.getLast().name, entry.name());
            expect(entry, body, "ret", 1);
            expect(entry, body, "vzeroupper", 1);
            assertEquals(count(body, "push"), count(body, "pop"), entry.name());
            String operands = body.stream().map(Instruction::operands).collect(Collectors.joining(" "));
            assertEquals(wide, operands.contains("%zmm"), entry.name());
            assertTrue(wide || !operands.contains("%k"), entry.name() + " has masks without AVX-512");
            // a jump lands on an instruction of the same routine
            for (Instruction i : body) {
                if (i.name.startsWith("j")) {
                    int target = Integer.parseInt(i.operands.substring(2), 16);
                    assertTrue(target >= entry.start() && target < entry.end() && all.containsKey(target),
                            entry.name());
                }
            }
        }
    }

    /// By the class and the field that has them.
    private static Map<String, Kernel> routines(Isa isa) throws IllegalAccessException {
        Map<String, Kernel> all = new TreeMap<>();
        for (Object family : List.of(new Elementwise(isa), new Reduce(isa), new Softmax(isa), new AttentionTile(isa),
                new Norm(isa), new Rope(isa), new SwiGlu(isa), new Adam(isa))) {
            for (Field field : family.getClass().getDeclaredFields()) {
                field.setAccessible(true);
                collect(family.getClass().getSimpleName() + "." + field.getName(), field.get(family), all);
            }
        }
        return all;
    }

    private static void collect(String name, Object of, Map<String, Kernel> all) {
        switch (of) {
            case Kernel k -> all.put(name, k);
            case Kernel[] several -> IntStream.range(0, several.length)
                    .forEach(i -> all.put(name + "[" + i + "]", several[i]));
            case Map<?, ?> map -> map.forEach((key, value) -> collect(name + "." + key, value, all));
            default -> {}
        }
    }

    @Test
    void everyKernelOfTheMatrixUnitIsWhatItShouldBe() throws Exception {
        AmxCode code = new AmxCode(AmxModel.with(AmxModelTiles::new));
        TreeMap<Integer, Instruction> all = disassemble(code.entries, code.bytes);
        for (Code.Entry entry : code.entries) {
            List<Instruction> body = List.copyOf(all.subMap(entry.start(), entry.end()).values());
            String[] words = entry.name().split(" ");
            int down = Integer.parseInt(words[1]);
            int across = Integer.parseInt(words[2]);
            expect(entry, body, "ldtilecfg", 1);
            expect(entry, body, "tilezero", down * across);
            expect(entry, body, "tileloadd", down * across + down + across);
            expect(entry, body, "tdpbf16ps", down * across);
            expect(entry, body, "tilestored", down * across);
            expect(entry, body, "tilerelease", 1);
            assertEquals(count(body, "push"), count(body, "pop"), entry.name());
            assertEquals("ret", body.getLast().name, entry.name());
        }
    }

    @Test
    void aTrialIsWhatItShouldBe() throws Exception {
        TreeMap<Integer, Instruction> all = disassemble(Trial.ENTRIES, Trial.BYTES);
        Code.Entry child = Trial.ENTRIES.getFirst();
        List<Instruction> body = List.copyOf(all.subMap(child.start(), child.end()).values());
        expect(child, body, "syscall", 1 + 5 + 2 + 1);
        expect(child, body, "ret", 1);
        expect(child, body, "call", 1);
        assertEquals("syscall", body.getLast().name, "the child never comes back");
        assertEquals(new Instruction("add", "$0xe7,%rax"), body.get(body.size() - 2), "exit_group");
        Code.Entry system = Trial.ENTRIES.getLast();
        assertEquals(List.of("mov", "mov", "mov", "mov", "mov", "syscall", "ret"),
                all.subMap(system.start(), system.end()).values().stream().map(Instruction::name).toList());
    }

    /// The instructions of tiles with every register and the addresses that have encodings of their own.
    @Test
    void tilesInAllRegisters() throws Exception {
        Asm asm = new Asm(Isa.AVX512);
        List<String> expected = new ArrayList<>();
        for (Reg base : Reg.values()) {
            String b = "%" + base.name().toLowerCase(Locale.ROOT);
            asm.tileConfig(Mem.at(base, 0));
            expected.add("ldtilecfg " + (base == Reg.RBP || base == Reg.R13 ? "0x0" : "") + "(" + b + ")");
            asm.tileConfig(Mem.at(base, 1024));
            expected.add("ldtilecfg 0x400(" + b + ")");
            for (Reg index : Reg.values()) {
                if (index == Reg.RSP) {
                    continue; // its number means that there is no index
                }
                String i = "%" + index.name().toLowerCase(Locale.ROOT);
                int tile = (base.ordinal() + index.ordinal()) % 8;
                asm.tileLoad(tile, Mem.at(base, index, 1, 64));
                expected.add("tileloadd 0x40(" + b + "," + i + ",1),%tmm" + tile);
                asm.tileStore(Mem.at(base, index, 1, -1024), tile);
                expected.add("tilestored %tmm" + tile + ",-0x400(" + b + "," + i + ",1)");
            }
        }
        for (int c = 0; c < 8; c++) {
            asm.tileZero(c);
            expected.add("tilezero %tmm" + c);
            for (int a = 0; a < 8; a++) {
                for (int b = 0; b < 8; b++) {
                    if (a != b && b != c && a != c) { // or it is no instruction
                        asm.tileMultiply(c, a, b);
                        expected.add("tdpbf16ps %tmm" + b + ",%tmm" + a + ",%tmm" + c);
                    }
                }
            }
        }
        asm.tileRelease();
        expected.add("tilerelease");
        List<String> found = disassemble(List.of(new Code.Entry("tiles", 0, asm.size())), asm.bytes()).values().stream()
                .map(i -> (i.name + " " + i.operands).strip()).toList();
        assertEquals(expected, found);
    }

    private static long count(List<Instruction> body, String name) {
        return body.stream().filter(i -> i.name.equals(name) || i.name.equals("rex.W") && i.operands.startsWith(name))
                .count();
    }

    private static void expect(Code.Entry entry, List<Instruction> body, String name, int times) {
        assertEquals(times, count(body, name), entry.name() + ": " + name);
    }

    /// Some functions one behind the other.
    private TreeMap<Integer, Instruction> disassemble(Map<String, byte[]> functions, List<Code.Entry> entries)
            throws IOException, InterruptedException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        functions.forEach((name, code) -> {
            entries.add(new Code.Entry(name, bytes.size(), bytes.size() + code.length));
            bytes.writeBytes(code);
        });
        return disassemble(entries, bytes.toByteArray());
    }

    /// Instructions by where they start.
    private TreeMap<Integer, Instruction> disassemble(List<Code.Entry> entries, byte[] bytes)
            throws IOException, InterruptedException {
        Path file = dir.resolve("code");
        Files.write(file, Arrays.copyOf(bytes, entries.getLast().end()));
        Process objdump;
        try {
            objdump = new ProcessBuilder("objdump", "-D", "-w", "-b", "binary", "-m", "i386:x86-64", file.toString())
                    .redirectErrorStream(true).start();
        } catch (IOException e) {
            return abort("not checked, because there is no objdump (binutils): " + e.getMessage());
        }
        String listing = new String(objdump.getInputStream().readAllBytes());
        assertEquals(0, objdump.waitFor(), listing);
        TreeMap<Integer, Instruction> all = new TreeMap<>();
        for (String line : listing.split("\n")) {
            Matcher m = LINE.matcher(line);
            if (m.matches()) {
                assertFalse(m.group(2).equals("(bad)"), line);
                all.put(Integer.parseInt(m.group(1), 16), new Instruction(m.group(2), m.group(3)));
            }
        }
        assertTrue(all.size() > entries.size(), listing);
        return all;
    }
}
