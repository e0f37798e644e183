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
        final Generator random; // null when loading, and where there are no values
        final Map<String, Tensor> checkpoint; // null when initialising
        final Optional<ParameterHome> home; // of parameters that learn
        final DType dtype; // of what is no parameter
        final Map<String, Tensor> parameters = new LinkedHashMap<>();
        final Set<String> used = new LinkedHashSet<>();
        final List<String> missing = new ArrayList<>();
        final List<String> unfit = new ArrayList<>();
        final List<String> extra = new ArrayList<>();
        Predicate<String> ignored = n -> n.endsWith(".rotary_emb.inv_freq"); // follows from the configuration

        Root(ModelMemory memory, Generator random, Map<String, Tensor> checkpoint, Optional<ParameterHome> home,
                DType dtype) {
            this.memory = memory;
            this.random = random;
            this.checkpoint = checkpoint;
            this.home = home;
            this.dtype = dtype;
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
        return new Weights(new Root(memory, random, null, Optional.of(ParameterHome.in(memory, dtype)), dtype), "");
    }

    /// New parameters that live in `home`.
    ///
    /// @param memory for what is no parameter
    public static Weights init(ModelMemory memory, Generator random, ParameterHome home) {
        return new Weights(new Root(memory, random, null, Optional.of(home), DType.F32), "");
    }

    /// No values at all: `home` hears of names and shapes, and what it gets has no memory behind it. What is made with
    /// this cannot compute.
    public static Weights described(ModelMemory memory, ParameterHome home) {
        return new Weights(new Root(memory, null, null, Optional.of(home), DType.F32), "");
    }

    /// The parameters of a checkpoint, as they are mapped: for running a model. Matrices of BF16 stay so, since
    /// products read them as they are; vectors of BF16, and all of F16, are widened to F32 once.
    public static Weights load(ModelMemory memory, Map<String, Tensor> checkpoint) {
        return new Weights(new Root(memory, null, checkpoint, Optional.empty(), DType.F32), "");
    }

    /// Copies of a checkpoint's parameters in F32, trainable.
    public static Weights loadTrainable(ModelMemory memory, Map<String, Tensor> checkpoint) {
        return loadTrainable(memory, checkpoint, ParameterHome.in(memory, DType.F32));
    }

    /// Copies that live in `home`.
    ///
    /// @param memory for what is no parameter
    public static Weights loadTrainable(ModelMemory memory, Map<String, Tensor> checkpoint, ParameterHome home) {
        return new Weights(new Root(memory, null, checkpoint, Optional.of(home), DType.F32), "");
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
        Tensor p = root.home.isPresent() && kind != Kind.BUFFER ? learned(root.home.get(), path, init, shape, kind)
                : root.checkpoint == null ? buffer(init, shape)
                        : loaded(path, shape, kind);
        if (root.parameters.put(path, p) != null) {
            throw new IllegalStateException("two parameters are called " + path);
        }
        return p;
    }

    private Tensor learned(ParameterHome home, String path, Init init, Shape shape, Kind kind) {
        if (root.checkpoint == null && root.random == null) {
            return home.adopt(path, NOTHING.expand(shape), kind == Kind.MATRIX);
        }
        try (Workspace _ = Workspace.open()) { // the home copies
            Tensor values = root.checkpoint == null
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
    /// @throws IllegalArgumentException if the checkpoint lacked any, had any of another shape, or has more
    public Map<String, Tensor> finish() {
        if (root.checkpoint != null) {
            root.checkpoint.keySet().stream()
                    .filter(n -> !root.used.contains(n) && !root.ignored.test(n))
                    .forEach(n -> root.extra.add(Shown.brief(n)));
        }
        if (!root.missing.isEmpty() || !root.unfit.isEmpty() || !root.extra.isEmpty()) {
            complain();
        }
        root.home.ifPresent(ParameterHome::finished);
        return Collections.unmodifiableMap(root.parameters);
    }

    private void complain() {
        throw new IllegalArgumentException("the weights do not fit config.json: " + Stream.of(
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
