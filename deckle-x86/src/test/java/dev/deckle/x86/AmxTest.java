package dev.deckle.x86;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.deckle.kernel.Bf16;
import dev.deckle.kernel.Native;
import dev.deckle.kernel.Scratch;
import dev.deckle.kernel.Team;
import dev.deckle.tensor.DType;
import dev.deckle.x86.Operand.Source;
import dev.deckle.x86.Tile.Form;
import dev.deckle.x86.emit.Asm;
import dev.deckle.x86.emit.Isa;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/// The emitted bytes for the matrix unit, run by a model of it, and the packing around them, against plain loops.
class AmxTest {
    private static final double TOLERANCE = 1e-6;
    private static final float CANARY = 12345.678f;
    private static final long POISONED = 4L << 20; // bytes, more than any product here packs
    private static final AmxCode CODE = new AmxCode(AmxModel.with(AmxModelTiles::new));
    private static final Guarded A = new Guarded(600_000);
    private static final Guarded B = new Guarded(600_000);
    private static final Guarded C = new Guarded(400_000);

    /// The kernels alone, on panels that are packed here; every edge of rows and columns.
    @Test
    void kernelsAtEveryEdge() {
        Random random = new Random(30);
        for (int rows = 1; rows <= 32; rows++) {
            for (int columns = 1; columns <= 70; columns += rows % 5 == 0 ? 1 : 1 + random.nextInt(9)) {
                int blocks = 1 + random.nextInt(5);
                kernel(rows, columns, blocks, random.nextInt(3), random.nextBoolean(), random);
            }
        }
    }

    private static void kernel(int rows, int columns, int blocks, int spare, boolean accumulate, Random random) {
        int k = 32 * blocks;
        float[][] a = numbers(rows, k, random);
        float[][] b = numbers(k, columns, random);
        // what the kernel reads and no more lies before or behind a forbidden page, rows that it need not read are NaN
        int halves = rows > 16 ? 2 : 1;
        int strips = (columns + 15) / 16;
        long strip = 4L * (256 * blocks + 16 * spare);
        long atA = A.place((halves - 1) * strip / 4 + 256L * blocks, random.nextBoolean());
        long atB = B.place((strips - 1) * strip / 4 + 256L * blocks, random.nextBoolean());
        for (int p = 0; p < k; p++) {
            for (int i = 0; i < 16 * halves; i++) {
                Bf16.set(atA + i / 16 * strip + p / 32 * 1024 + i % 16 * 64 + p % 32 * 2,
                        i < rows ? a[i][p] : Float.NaN);
            }
            for (int j = 0; j < 16 * strips; j++) {
                Bf16.set(atB + j / 16 * strip + p / 2 * 64 + j % 16 * 4 + p % 2 * 2,
                        j < columns ? b[p][j] : Float.NaN);
            }
        }
        int ldc = columns + spare;
        int span = (rows - 1) * ldc + columns;
        long c = C.place(span, random.nextBoolean());
        float[] before = new float[span];
        for (int e = 0; e < span; e++) {
            before[e] = e % ldc < columns ? random.nextFloat(-1, 1) : CANARY;
            Native.setFloat(c + 4L * e, before[e]);
        }

        CODE.multiply(rows, columns, blocks, atA, atB, strip, c, 4L * ldc, accumulate);

        for (int e = 0; e < span; e++) {
            int i = e / ldc;
            int j = e % ldc;
            double sum = accumulate || j >= columns ? before[e] : 0;
            double magnitude = Math.abs(sum);
            for (int p = 0; p < k && j < columns; p++) {
                double product = (double) a[i][p] * b[p][j];
                sum += product;
                magnitude += Math.abs(product);
            }
            assertEquals(sum, Native.getFloat(c + 4L * e), TOLERANCE * magnitude,
                    rows + " x " + columns + " x " + k + " at " + i + ", " + j + (accumulate ? ", added" : ""));
        }
    }

    /// Numbers of bf16.
    private static float[][] numbers(int rows, int columns, Random random) {
        float[][] all = new float[rows][columns];
        for (float[] row : all) {
            for (int j = 0; j < columns; j++) {
                row[j] = Bf16.round(random.nextFloat(-1, 1));
            }
        }
        return all;
    }

    private static List<Integer> shuffledSizes(Random random) {
        List<Integer> sizes = new ArrayList<>(List.of(1, 3, 15, 16, 17, 31, 32, 33, 64, 100, 257));
        Collections.shuffle(sizes, random);
        return sizes;
    }

    /// The whole way of a large product at sizes that would not take it: for every form of its operands each size of
    /// rows, of columns and along k, combined at random, since the model is slow.
    @Test
    void blockedProductsAtAwkwardSizes() {
        assumeTrue(Cpu.detect().avx512Bf16(), "the packing needs AVX512_BF16");
        Code code = new Code(Isa.AVX512, Asm.VDPBF16PS, Optional.of(CODE));
        Random random = new Random(31);
        for (int round = 0; round < 3; round++) {
            for (int form = 0; form < 8; form++) {
                List<Integer> m = shuffledSizes(random);
                List<Integer> n = shuffledSizes(random);
                List<Integer> k = shuffledSizes(random);
                for (int i = 0; i < m.size(); i++) {
                    blocked(code, m.get(i), n.get(i), k.get(i), form, random.nextBoolean(), random);
                }
            }
        }
        // several slices, panels of a task and tasks; sums, of one part and of two
        for (int form = 0; form < 8; form++) {
            blocked(code, 330, 270, 1201, form, form % 2 == 0, random);
            blocked(code, 37, 23, 2001, form, form % 2 == 0, random);
            blocked(code, 517, 19, 1101, form, form % 2 == 0, random);
        }
    }

    /// Makes NaN of the memory that operands are packed to: what is not overwritten shows in the result.
    private static void poison() {
        long shared = PackBuffers.take();
        Native.ALL.asSlice(shared, POISONED).fill((byte) -1);
        PackBuffers.giveBack(shared);
        for (int slot : new int[] {Product.SCRATCH, Product.EDGE}) { // of the thread that multiplies, which is this one
            Native.ALL.asSlice(Scratch.bytes(slot, POISONED), POISONED).fill((byte) -1);
        }
    }

    private static Guarded room(Guarded usual, long floats) {
        return floats <= usual.floats ? usual : new Guarded((int) floats);
    }

    /// `form` 0 to 3: rows of A are contiguous, 4 to 7: columns are; 0, 4: B is pairs; 1, 5: halves; 2, 6: floats; 3,
    /// 7: floats whose columns are contiguous.
    private static void blocked(Code code, int m, int n, int k, int form, boolean accumulate, Random random) {
        boolean rows = form < 4;
        boolean pairs = form % 4 == 0;
        boolean columns = form % 4 == 0 || form % 4 == 3;
        DType t = form % 4 >= 2 ? DType.F32 : DType.BF16;
        int even = pairs ? k + k % 2 : k; // of which the last is 0 if k is odd
        long a = room(A, (long) m * k).place((long) m * k, random.nextBoolean());
        long b = room(B, (long) n * even).place((long) n * even, t.bytes(), random.nextBoolean());
        long c = room(C, (long) m * n).place((long) m * n, random.nextBoolean());
        float[][] as = numbers(m, k, random);
        float[][] bs = numbers(n, even, random);
        for (int p = 0; p < even; p++) {
            for (int i = 0; i < m && p < k; i++) {
                Native.setFloat(a + 4L * (rows ? i * k + p : p * m + i), as[i][p]);
            }
            for (int j = 0; j < n; j++) {
                bs[j][p] = p < k ? bs[j][p] : 0;
                long at = b + (long) t.bytes() * (columns ? j * even + p : p * n + j);
                if (t == DType.F32) {
                    Native.setFloat(at, bs[j][p]);
                } else {
                    Bf16.set(at, bs[j][p]);
                }
            }
        }
        float[] before = new float[m * n];
        for (int e = 0; e < m * n; e++) {
            before[e] = random.nextFloat(-1, 1);
            Native.setFloat(c + 4L * e, before[e]);
        }
        poison();
        Operand left = new Operand(Source.FLOATS, a, rows ? Form.ROWS : Form.COLUMNS, 4L * (rows ? k : m));
        Source from = pairs ? Source.READY : t == DType.F32 ? Source.FLOATS : Source.HALVES;
        Operand right = new Operand(from, b, columns ? Form.ROWS : Form.COLUMNS,
                (long) t.bytes() * (columns ? even : n));

        Blocked.run(new Product(code, m, n, (k + 1) / 2, k % 2 != 0, left, right, c, 4L * n, accumulate,
                Team.serial()));

        for (int e = 0; e < m * n; e += m * n > 10_000 ? 37 : 1) {
            double sum = accumulate ? before[e] : 0;
            double magnitude = Math.abs(sum);
            for (int p = 0; p < k; p++) {
                double product = (double) as[e / n][p] * bs[e % n][p];
                sum += product;
                magnitude += Math.abs(product);
            }
            float got = Native.getFloat(c + 4L * e);
            if (!(Math.abs(got - sum) <= TOLERANCE * magnitude)) {
                fail(m + " x " + n + " x " + k + ", form " + form + ": element " + e + " is " + got + ", not " + sum);
            }
        }
    }

    /// Few rows, few columns and small products stay with the vectors.
    @Test
    void takesLargeProductsOnly() {
        assumeTrue(Cpu.detect().avx512Bf16(), "the packing needs AVX512_BF16");
        assertEquals(0, calls(16, 1024, 512));
        assertTrue(calls(17, 1024, 512) > 0);
        assertEquals(0, calls(1024, 16, 512));
        assertTrue(calls(1024, 17, 512) > 0);
        assertEquals(0, calls(128, 128, 256));
        assertTrue(calls(128, 129, 256) > 0);
    }

    private static int calls(int m, int n, int k) {
        AtomicInteger calls = new AtomicInteger();
        AmxCode unit = new AmxCode((f, a, b, c, d, e, g, h, i, j, l, o) -> calls.incrementAndGet());
        long a = A.place((long) m * k, false);
        long b = B.place((long) n * k, false);
        for (long i = 0; i < (long) m * k; i++) {
            Native.setFloat(a + 4 * i, 1);
        }
        Code code = new Code(Isa.AVX512, Asm.VDPBF16PS, Optional.of(unit));
        HalfProduct.run(code, Source.FLOATS, Source.HALVES, m, n, k, a, k, 1, b, 1, k, C.place((long) m * n, false), n,
                false,
                Team.serial());
        return calls.get();
    }

    @Test
    void anHonestUnitPassesTheCheckAtTheStart() {
        assumeTrue(Cpu.detect().avx512Bf16(), "the packing needs AVX512_BF16");
        Halves halves = Halves.proven(CODE);
        assertTrue(halves.amx());
        assertTrue(halves.code().orElseThrow().amx.isPresent());
        assertEquals("; bf16 by AMX_BF16, few rows by AVX512_BF16", halves.describe());
    }

    /// Units that do nothing, or one thing wrongly.
    @Test
    void aWrongUnitIsNotUsed() {
        assumeTrue(Cpu.detect().avx512Bf16(), "the packing needs AVX512_BF16");
        List<AmxCode.Caller> wrong = new ArrayList<>();
        wrong.add((f, a, b, c, d, e, g, h, i, j, k, l) -> 0);
        wrong.add(AmxModel.with(() -> new AmxModelTiles() {
            @Override
            void zero(int t) {
                // what the tile held before stays
            }
        }));
        wrong.add(AmxModel.with(() -> new AmxModelTiles() {
            private int times;

            @Override
            void multiply(int c, int a, int b) {
                if (++times != 5) {
                    super.multiply(c, a, b);
                }
            }
        }));
        for (AmxCode.Caller caller : wrong) {
            Halves halves = Halves.proven(new AmxCode(caller));
            assertFalse(halves.amx());
            assertTrue(halves.code().orElseThrow().amx.isEmpty());
            assertEquals("; bf16 by AVX512_BF16; AMX_BF16 not used: its products were wrong in the check at the start",
                    halves.describe());
        }
    }

    @Test
    void saysWhyTheUnitIsNotUsed() {
        Cpu here = Cpu.detect();
        assumeTrue(here.avx512Bf16(), "needs AVX512_BF16");
        assertEquals("; AMX_BF16 not used: it needs AVX512_BF16 beside it",
                Halves.open(cpu(false, true), Isa.AVX512, true).describe());
        assertEquals("; bf16 by AVX512_BF16; AMX_BF16 not used: left out by request",
                Halves.open(cpu(true, true), Isa.AVX512, false).describe());
        assertEquals("; bf16 by AVX512_BF16", Halves.open(cpu(true, false), Isa.AVX512, true).describe());
        assertEquals("", Halves.open(cpu(true, true), Isa.AVX2, true).describe());
        if (!here.amxBf16()) { // the system cannot give what the processor does not have
            assertEquals("; bf16 by AVX512_BF16; AMX_BF16 not used: the system refuses its registers (arch_prctl"
                    + " ARCH_REQ_XCOMP_PERM)", Halves.open(cpu(true, true), Isa.AVX512, true).describe());
            var e = assertThrows(UnsupportedOperationException.class, () -> X86Kernels.open("amx", cpu(true, true)));
            assertTrue(e.getMessage().startsWith("AMX was asked for; found test (FMA"), e.getMessage());
        }
    }

    private static Cpu cpu(boolean avx512Bf16, boolean amx) {
        return new Cpu("test", true, true, true, avx512Bf16, amx);
    }

    /// Shapes as the manual lays them out, at an edge.
    @Test
    void shapesOfTilesAtAnEdge() {
        byte[] shapes = AmxTile.shapes(19, 23);
        assertEquals(1, shapes[0]);
        int[] rows = {16, 16, 3, 3, 16, 3, 16, 16};
        int[] bytes = {64, 28, 64, 28, 64, 64, 64, 28};
        for (int t = 0; t < 8; t++) {
            assertEquals(rows[t], shapes[48 + t], "rows of tile " + t);
            assertEquals(bytes[t], shapes[16 + 2 * t], "bytes in a row of tile " + t);
        }
    }
}
