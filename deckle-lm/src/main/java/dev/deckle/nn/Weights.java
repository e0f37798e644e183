package dev.deckle.nn;

import static java.util.stream.Collectors.joining;

import dev.deckle.io.Shown;
import dev.deckle.kernel.Native;
import dev.deckle.memory.ModelMemory;
import dev.deckle.memory.Workspace;
import dev.deckle.random.Generator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;

/// Where a layer gets its parameters: a source and a path of names into it.
///
/// A layer's constructor asks for each parameter by name, initialiser and shape. That one line initialises a new model,
/// loads a checkpoint and lists the state: the constructor is the state dict, and no layer is ever half built.
/// ```java
/// new Linear(Weights.init(memory, random).scope("o_proj"), 384, 384);
/// ```
/// Loading collects everything that does not fit instead of stopping at the first; [#finish()] reports it at once.
public final class Weights {
    private static final Tensor NOTHING = Tensor.on(Workspace.allocateForCaller(4), 0, DType.F32, Shape.of(1));
    private static final int MOST_PROBLEMS = 64;
    private static final int SHOWN = 1; // of each kind

    /// What all scopes of one model share.
    private static final class Root {
        final ModelMemory memory;
        final Generator random; // of what no checkpoint holds; null when loading, and where there are no values
        final Map<String, Tensor> checkpoint; // null when initialising
        final Optional<ParameterHome> home; // of parameters that learn
        final DType dtype; // of what is no parameter
        final Map<String, Tensor> parameters = new LinkedHashMap<>();
        final Set<String> used = new LinkedHashSet<>();
        final List<String> missing = new ArrayList<>();
        final List<String> unfit = new ArrayList<>();
        final List<String> extra = new ArrayList<>();
        final Optional<Lora> lora;
        final List<String> linears = new ArrayList<>(); // that could have an adapter, where there is one
        Predicate<String> ignored = n -> n.endsWith(".rotary_emb.inv_freq"); // follows from the configuration

        Root(ModelMemory memory, Generator random, Map<String, Tensor> checkpoint, Optional<ParameterHome> home,
                DType dtype, Optional<Lora> lora) {
            this.memory = memory;
            this.random = random;
            this.checkpoint = checkpoint;
            this.home = home;
            this.dtype = dtype;
            this.lora = lora;
        }
    }

    private final Root root;
    private final String prefix;

    private Weights(Root root, String prefix) {
        this.root = root;
        this.prefix = prefix;
    }

    /// New, trainable F32 parameters.
    public static Weights init(ModelMemory memory, Generator random) {
        return init(memory, random, DType.F32);
    }

    /// The same in another type: F64, to check gradients.
    public static Weights init(ModelMemory memory, Generator random, DType dtype) {
        return new Weights(new Root(memory, random, null, Optional.of(ParameterHome.in(memory, dtype)), dtype,
                Optional.empty()), "");
    }

    /// New parameters that live in `home`.
    ///
    /// @param memory for what is no parameter
    public static Weights init(ModelMemory memory, Generator random, ParameterHome home) {
        return new Weights(new Root(memory, random, null, Optional.of(home), DType.F32, Optional.empty()), "");
    }

    /// No values at all: `home` hears of names and shapes, and what it gets has no memory behind it. What is made with
    /// this cannot compute.
    public static Weights described(ModelMemory memory, ParameterHome home) {
        return new Weights(new Root(memory, null, null, Optional.of(home), DType.F32, Optional.empty()), "");
    }

    /// The parameters of a checkpoint, as they are mapped: for running a model. Matrices of BF16 stay so, since
    /// products read them as they are; vectors of BF16, and all of F16, are widened to F32 once.
    public static Weights load(ModelMemory memory, Map<String, Tensor> checkpoint) {
        return new Weights(new Root(memory, null, checkpoint, Optional.empty(), DType.F32, Optional.empty()), "");
    }

    /// Copies of a checkpoint's parameters in F32, trainable.
    public static Weights loadTrainable(ModelMemory memory, Map<String, Tensor> checkpoint) {
        return loadTrainable(memory, checkpoint, ParameterHome.in(memory, DType.F32));
    }

    /// Copies that live in `home`.
    ///
    /// @param memory for what is no parameter
    public static Weights loadTrainable(ModelMemory memory, Map<String, Tensor> checkpoint, ParameterHome home) {
        return new Weights(new Root(memory, null, checkpoint, Optional.of(home), DType.F32, Optional.empty()), "");
    }

    /// The same with adapters, whose parameters come from where the others do. To be called before any is asked for.
    public Weights withAdapters(Lora lora) {
        return new Weights(new Root(root.memory, root.random, root.checkpoint, root.home, root.dtype,
                Optional.of(lora)), prefix);
    }

    /// The same with adapters that are new.
    ///
    /// @param random what their first values are drawn from
    public Weights withNewAdapters(Lora lora, Generator random) {
        return new Weights(new Root(root.memory, random, root.checkpoint, root.home, root.dtype, Optional.of(lora)),
                prefix);
    }

    /// The part under `name`.
    public Weights scope(String name) {
        return new Weights(root, prefix + name + ".");
    }

    /// The parameter `name` of this scope.
    public Tensor get(String name, Init init, int... shape) {
        return add(prefix + name, init, Shape.of(shape), shape.length > 1 ? Kind.MATRIX : Kind.WIDE);
    }

    /// A parameter that is computed with in F32 even where matrices stay in the half precision of a checkpoint.
    public Tensor wide(String name, Init init, int... shape) {
        return add(prefix + name, init, Shape.of(shape), Kind.WIDE);
    }

    /// A parameter that is another one under a second name, as a head that is tied to the embedding. Where a checkpoint
    /// holds other numbers under the second name, these are what it means.
    public Tensor tied(String name, Tensor weight) {
        Tensor own = root.checkpoint == null ? null : root.checkpoint.get(prefix + name);
        root.used.add(prefix + name);
        return own == null || same(own, stored(weight)) ? weight : get(name, Init.zeros(), weight.shape().toArray());
    }

    /// What the checkpoint holds of a parameter: its home may have it elsewhere, or in another type.
    private Tensor stored(Tensor parameter) {
        return root.parameters.entrySet().stream()
                .filter(e -> e.getValue() == parameter)
                .map(e -> root.checkpoint.get(e.getKey()))
                .findFirst()
                .orElse(parameter);
    }

    private static boolean same(Tensor a, Tensor b) {
        try (Workspace _ = Workspace.open()) { // for what is widened
            Tensor wide = a.dtype() == b.dtype() ? a : a.to(b.dtype());
            boolean equal = a.shape().equals(b.shape()) && Native.equal(wide.address(), b.address(), b.bytes());
            Reference.reachabilityFence(wide);
            return equal;
        }
    }

    /// What learns beside the linear layer of this scope, if that is to have an adapter.
    Optional<LoraAdapter> adapter(int in, int out) {
        if (root.lora.isEmpty()) {
            return Optional.empty();
        }
        String path = prefix.substring(0, Math.max(0, prefix.length() - 1));
        root.linears.add(path);
        return root.lora.filter(lora -> lora.targets(path)).map(lora -> new LoraAdapter(this, lora, in, out));
    }

    /// A tensor of the state that is saved and loaded with the parameters but never trained, such as a running mean.
    public Tensor buffer(String name, Init init, int... shape) {
        return add(prefix + name, init, Shape.of(shape), Kind.BUFFER);
    }

    private enum Kind {
        MATRIX,
        WIDE,
        BUFFER
    }

    private Tensor add(String path, Init init, Shape shape, Kind kind) {
        Tensor p = root.home.isPresent() && kind != Kind.BUFFER && root.home.get().takes(path)
                ? learned(root.home.get(), path, init, shape, kind)
                : drawn(path) ? buffer(init, shape)
                        : loaded(path, shape, kind);
        if (root.parameters.put(path, p) != null) {
            throw new IllegalStateException("two parameters are called " + path);
        }
        return p;
    }

    /// Whether it is new, as all of a new model and the adapters that are put to an old one.
    private boolean drawn(String path) {
        return root.checkpoint == null || root.random != null && Lora.isAdapter(path);
    }

    private Tensor learned(ParameterHome home, String path, Init init, Shape shape, Kind kind) {
        if (root.checkpoint == null && root.random == null) {
            return home.adopt(path, NOTHING.expand(shape), kind == Kind.MATRIX);
        }
        try (Workspace _ = Workspace.open()) { // the home copies
            Tensor values = drawn(path)
                    ? filled(Tensor.empty(DType.F32, shape), init)
                    : present(path, shape);
            return values.isContiguous() ? home.adopt(path, values, kind == Kind.MATRIX) : values;
        }
    }

    private Tensor buffer(Init init, Shape shape) {
        try (Workspace _ = Workspace.open()) {
            Tensor values = filled(Tensor.empty(DType.F32, shape), init);
            return values.copyInto(Tensor.empty(root.memory, root.dtype, shape));
        }
    }

    private Tensor filled(Tensor p, Init init) {
        init.fill(p, root.random);
        return p;
    }

    private Tensor loaded(String path, Shape shape, Kind kind) {
        Tensor t = present(path, shape);
        boolean known = t.dtype() == DType.F32 || t.dtype() == DType.BF16 && kind == Kind.MATRIX;
        boolean asItIs = known && kind != Kind.BUFFER || !t.isContiguous(); // a buffer may be written, the file not
        return asItIs ? t : t.copyInto(Tensor.empty(root.memory, DType.F32, shape));
    }

    /// What the checkpoint holds, or, where that does not fit, something without memory that stands in for it until
    /// [#finish()] complains.
    private Tensor present(String path, Shape shape) {
        Tensor t = root.checkpoint.get(path);
        root.used.add(path);
        if (t == null || !t.shape().equals(shape) || !t.dtype().floating()) {
            if (t == null) {
                root.missing.add(path + " " + shape);
            } else {
                root.unfit.add(path + " is " + t.dtype() + " " + t.shape() + ", " + shape + " expected");
            }
            if (root.missing.size() + root.unfit.size() >= MOST_PROBLEMS) {
                complain(); // a configuration that asks for thousands of layers must not go on
            }
            return NOTHING.expand(shape);
        }
        return t;
    }

    /// Names that a checkpoint may hold although the model has no use for them.
    public void ignore(Predicate<String> names) {
        root.ignored = root.ignored.or(names);
    }

    /// To be called when the model is built.
    ///
    /// @return the state: all parameters and buffers by their full names, in the order in which they were asked for
    /// @throws IllegalArgumentException if the checkpoint lacked any, had any of another shape, or has more; or if no
    ///     layer is called as a new adapter's target is
    public Map<String, Tensor> finish() {
        if (root.checkpoint != null) {
            root.checkpoint.keySet().stream()
                    .filter(n -> !root.used.contains(n) && !root.ignored.test(n))
                    .forEach(n -> root.extra.add(Shown.brief(n)));
        }
        if (!root.missing.isEmpty() || !root.unfit.isEmpty() || !root.extra.isEmpty()) {
            complain();
        }
        if (root.random != null) {
            root.lora.ifPresent(this::requireTargets);
        }
        root.home.ifPresent(ParameterHome::finished);
        return Collections.unmodifiableMap(root.parameters);
    }

    private void requireTargets(Lora lora) {
        for (String target : lora.targetModules()) {
            if (!target.equals(Lora.ALL_LINEAR) && root.linears.stream().noneMatch(p -> Lora.names(target, p))) {
                throw new IllegalArgumentException("target_modules names " + Shown.brief(target)
                        + ", and no linear layer is called so: expected " + Lora.ALL_LINEAR + " or some of "
                        + root.linears.stream()
                                .map(p -> p.substring(p.lastIndexOf('.') + 1))
                                .distinct()
                                .collect(joining(", ")));
            }
        }
    }

    private void complain() {
        boolean adapter = Stream.of(root.missing, root.unfit, root.extra)
                .flatMap(List::stream)
                .allMatch(p -> p.contains(".lora_"));
        String what = adapter ? "adapter_model.safetensors does not fit the model: "
                : "the weights do not fit config.json: ";
        throw new IllegalArgumentException(what + Stream.of(
                list("missing: ", root.missing), list("of another shape: ", root.unfit),
                list("not part of the model: ", root.extra)).filter(s -> !s.isEmpty()).collect(joining("; ")));
    }

    private static String list(String what, List<String> names) {
        int n = names.size();
        return n == 0 ? ""
                : what + String.join(", ", names.subList(0, Math.min(n, SHOWN)))
                        + (n > SHOWN ? " and " + (n - SHOWN) + " more" : "");
    }
}
