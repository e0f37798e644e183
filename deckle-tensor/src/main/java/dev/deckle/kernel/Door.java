package dev.deckle.kernel;

import dev.deckle.tensor.DType;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.function.Supplier;

/// Which kernels run: the one place where a backend is chosen.
///
/// Providers are asked in the order of their priority, each once, and not before one is needed that those above it do
/// not have; each either opens or says why not, and both are kept for `deckle doctor`. For each family the first open
/// backend that supports it serves; the scalar definition comes last and supports everything, which the report says
/// loudly, so that slow code never runs silently.
///
/// `-Ddeckle.x86=false` and `-Ddeckle.vector=false` leave a backend out.
public final class Door {
    /// What became of one backend: `reason` says why it was refused, where `kernels` is empty, else what it runs on.
    public record Backend(String name, Optional<Kernels> kernels, String reason) {}

    private static final ScopedValue<Door> OVERRIDE = ScopedValue.newInstance();

    private static final class Holder {
        static final Door DEFAULT = new Door(candidates());
    }

    /// A backend that may not have been asked yet.
    private static final class Candidate {
        private final String name;
        private final Supplier<Backend> question;
        private Backend answer;

        Candidate(String name, Supplier<Backend> question) {
            this.name = name;
            this.question = question;
        }

        synchronized Backend ask() {
            if (answer == null) {
                answer = question.get();
            }
            return answer;
        }
    }

    private final List<Candidate> candidates;
    private final Map<Family, Kernels> f32 = new EnumMap<>(Family.class);

    private Door(List<Candidate> candidates) {
        this.candidates = List.copyOf(candidates);
        for (Family f : Family.values()) {
            f32.put(f, first(f, DType.F32));
        }
    }

    /// The kernels in force on this thread.
    public static Door current() {
        return OVERRIDE.isBound() ? OVERRIDE.get() : Holder.DEFAULT;
    }

    /// A door to the named backends alone (and the scalar definition behind them), for tests and comparisons.
    ///
    /// @throws IllegalArgumentException if one of them is not open on this machine, with its reason
    public static Door only(String... names) {
        List<Candidate> chosen = new ArrayList<>();
        for (Candidate c : Holder.DEFAULT.candidates) {
            if (List.of(names).contains(c.name)) {
                Backend b = c.ask();
                if (b.kernels.isEmpty()) {
                    throw new IllegalArgumentException("backend " + b.name + " does not run here: " + b.reason);
                }
                chosen.add(c);
            }
        }
        if (!List.of(names).contains("scalar")) {
            chosen.add(scalar());
        }
        return new Door(chosen);
    }

    /// Runs `work` on this thread with this door in place of the default one.
    public <R> R during(Supplier<R> work) {
        return ScopedValue.where(OVERRIDE, this).call(work::get);
    }

    /// What runs a family of kernels for a type of number. BF16 has products only.
    public Kernels of(Family family, DType t) {
        boolean computes = t == DType.F32 || t == DType.F64 || t == DType.BF16 && family == Family.MATMUL;
        if (!computes) {
            throw new IllegalArgumentException(t + " is for storage only: cast to F32 to compute");
        }
        return t == DType.F32 ? f32.get(family) : first(family, t);
    }

    /// What to train matrices in on this machine: BF16 where its processor multiplies that, else F32. With masters of
    /// F32 both learn alike, so speed decides (docs/performance.md).
    public DType forTraining() {
        return of(Family.MATMUL, DType.BF16).multipliesHalves() ? DType.BF16 : DType.F32;
    }

    /// Every backend, with its fate, in the order of asking; those that nobody has needed are asked now.
    public List<Backend> backends() {
        return candidates.stream().map(Candidate::ask).toList();
    }

    private Kernels first(Family f, DType t) {
        for (Candidate c : candidates) {
            Optional<Kernels> k = c.ask().kernels;
            if (k.isPresent() && k.get().supports(f, t)) {
                return k.get();
            }
        }
        throw new AssertionError("the definition has all");
    }

    private static Candidate scalar() {
        return new Candidate("scalar",
                () -> new Backend("scalar", Optional.of(ScalarKernels.INSTANCE), "the definition of all others"));
    }

    private static List<Candidate> candidates() {
        List<Candidate> found = new ArrayList<>();
        ServiceLoader.load(KernelProvider.class).stream()
                .map(ServiceLoader.Provider::get)
                .sorted(Comparator.comparingInt(KernelProvider::priority).reversed())
                .filter(p -> found.stream().noneMatch(c -> c.name.equals(p.name()))) // one stands in for another
                .forEach(p -> found.add(new Candidate(p.name(), () -> open(p))));
        found.add(scalar());
        return found;
    }

    private static Backend open(KernelProvider p) {
        if (!Boolean.parseBoolean(System.getProperty("deckle." + p.name(), "true"))) {
            return new Backend(p.name(), Optional.empty(), "left out by request");
        }
        try {
            Kernels k = p.open();
            return new Backend(p.name(), Optional.of(k), k.describe());
        } catch (UnsupportedOperationException | LinkageError e) {
            return new Backend(p.name(), Optional.empty(), String.valueOf(e.getMessage()));
        }
    }
}
