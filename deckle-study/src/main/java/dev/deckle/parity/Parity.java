package dev.deckle.parity;

import dev.deckle.autograd.Leaf;
import dev.deckle.kernel.Door;
import dev.deckle.memory.ModelMemory;
import dev.deckle.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;

/// Runs golden cases: forward, gradients of parameters and inputs, and buffers afterwards, on every backend that this
/// machine has. A number passes if |a - b| <= 1e-5 + 1e-4 |b|, gradients ten times that; integers must be equal, and
/// random numbers within one unit in the last place.
///
/// Nothing is skipped: a component, a setting, an input or an output that is not known fails the case.
public final class Parity {
    private static final double ABSOLUTE = 1e-5;
    private static final double RELATIVE = 1e-4;
    private static final double GRADIENTS = 10;

    private Parity() {}

    /// The files that a path stands for: itself, or the golden cases in a folder, by name.
    ///
    /// @throws IllegalArgumentException if there are none
    public static List<Path> files(Path path) {
        if (!Files.isDirectory(path)) {
            return List.of(path);
        }
        try (Stream<Path> all = Files.list(path)) {
            List<Path> found = all.filter(f -> f.toString().endsWith(".safetensors")).sorted().toList();
            if (found.isEmpty()) {
                throw new IllegalArgumentException(path + ": no golden case in it: expected *.safetensors");
            }
            return found;
        } catch (IOException e) {
            throw new UncheckedIOException(path + ": cannot be read: " + e.getMessage(), e);
        }
    }

    /// The backends of this machine, by name.
    public static List<String> backends() {
        return Door.current().backends().stream()
                .filter(b -> b.kernels().isPresent())
                .map(Door.Backend::name)
                .toList();
    }

    /// One file on every backend.
    public static void run(Path file, Consumer<Verdict> each) {
        String name = file.getFileName().toString().replaceFirst("\\.safetensors$", "");
        try (ModelMemory memory = new ModelMemory()) {
            GoldenCase golden;
            try {
                golden = GoldenCase.open(file, memory);
            } catch (IllegalArgumentException | UncheckedIOException e) {
                backends().forEach(b -> each.accept(failed(name, "", b, e.getMessage())));
                return;
            }
            for (String backend : backends()) {
                each.accept(Door.only(backend).during(() -> {
                    try {
                        return judge(golden, Components.named(golden.component()), backend);
                    } catch (RuntimeException | OutOfMemoryError e) { // a file may ask for anything
                        return failed(name, golden.component(), backend, said(e));
                    }
                }));
            }
        }
    }

    private static String said(Throwable e) {
        boolean ours = e instanceof IllegalArgumentException || e instanceof IllegalStateException;
        return ours && e.getMessage() != null ? e.getMessage()
                : "the case cannot be computed: " + e.getClass().getSimpleName() + " " + e.getMessage();
    }

    private static Verdict failed(String name, String component, String backend, String reason) {
        return new Verdict(name, component, backend, Double.NaN, Double.NaN, false, reason);
    }

    /// Runs `component` on a case with the kernels in force, and compares.
    public static Verdict judge(GoldenCase golden, Component component, String backend) {
        try (GoldenCase.Run run = golden.run()) {
            Comparison c = new Comparison(golden.component().equals("torch_generator"));
            Map<String, Tensor> out = component.forward(run);
            run.finish();
            c.sameNames(golden.all("output").keySet(), out.keySet());
            golden.all("output").forEach((name, expected) -> c.compare("output." + name, expected, out.get(name), 1));
            backward(golden, out);
            for (String kind : List.of("param", "input")) {
                golden.all("grad." + kind).forEach((name, expected) -> c.compare("grad." + kind + "." + name, expected,
                        gradient(run.after(kind, name)), GRADIENTS));
            }
            golden.all("after.buffer").forEach((name, expected) -> c.compare("after.buffer." + name, expected,
                    run.after("buffer", name), 1));
            return c.verdict(golden, backend);
        }
    }

    /// Zeros where no output depends on it.
    private static Tensor gradient(Tensor leaf) {
        boolean none = leaf.leaf().map(Leaf::isEmpty).orElse(true);
        return none ? Tensor.zeros(leaf.dtype(), leaf.shape()) : leaf.grad();
    }

    /// From the sum of all outputs times their cotangents.
    private static void backward(GoldenCase golden, Map<String, Tensor> out) {
        List<Tensor> terms = new ArrayList<>();
        golden.all("cotangent").forEach((name, cotangent) -> {
            if (!out.containsKey(name)) {
                throw new IllegalArgumentException("cotangent." + name + " belongs to no output");
            }
            terms.add(out.get(name).mul(cotangent).sum());
        });
        terms.stream().reduce(Tensor::add).filter(Tensor::requiresGrad).ifPresent(Tensor::backward);
    }

    /// Gathers the worst of all comparisons of a case.
    private static final class Comparison {
        private final boolean exact;
        private double maxAbs;
        private double maxRel;
        private String reason = "";

        /// @param exact whether floats must be within one unit in the last place
        Comparison(boolean exact) {
            this.exact = exact;
        }

        void sameNames(Set<String> expected, Set<String> found) {
            if (!expected.equals(found)) {
                throw new IllegalArgumentException(
                        "the case has outputs " + expected + ", the component gives " + found);
            }
        }

        void compare(String what, Tensor expected, Tensor actual, double slack) {
            if (!expected.shape().equals(actual.shape())) {
                wrong(what + " has shape " + actual.shape() + ", expected " + expected.shape());
                return;
            }
            boolean whole = !expected.dtype().floating();
            if (whole == actual.dtype().floating()) {
                wrong(what + " is " + actual.dtype() + ", expected " + expected.dtype());
                return;
            }
            double[] e = expected.toDoubles();
            double[] a = actual.toDoubles();
            for (int i = 0; i < e.length; i++) {
                if (e[i] == a[i] || e[i] != e[i] && a[i] != a[i]) {
                    continue; // equal, infinite alike, or both not a number, which PyTorch may mean
                }
                double error = Math.abs(e[i] - a[i]);
                maxAbs = error > maxAbs || error != error ? error : maxAbs;
                if (Math.abs(e[i]) >= 1e-3) {
                    maxRel = Math.max(maxRel, error / Math.abs(e[i]));
                }
                double allowed = whole ? 0
                        : exact ? Math.ulp((float) e[i])
                                : slack * (ABSOLUTE + RELATIVE * Math.abs(e[i]));
                if (!(error <= allowed)) {
                    wrong(what + " is " + a[i] + " at " + i + ", expected " + e[i]);
                }
            }
        }

        private void wrong(String what) {
            reason = reason.isEmpty() ? what : reason;
        }

        Verdict verdict(GoldenCase golden, String backend) {
            return new Verdict(golden.name(), golden.component(), backend, maxAbs, maxRel, reason.isEmpty(), reason);
        }
    }
}
