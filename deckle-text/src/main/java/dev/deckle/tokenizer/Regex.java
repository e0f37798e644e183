package dev.deckle.tokenizer;

import dev.deckle.tokenizer.RegexSyntax.Atomic;
import dev.deckle.tokenizer.RegexSyntax.Choice;
import dev.deckle.tokenizer.RegexSyntax.Look;
import dev.deckle.tokenizer.RegexSyntax.Mode;
import dev.deckle.tokenizer.RegexSyntax.Node;
import dev.deckle.tokenizer.RegexSyntax.One;
import dev.deckle.tokenizer.RegexSyntax.Place;
import dev.deckle.tokenizer.RegexSyntax.Repeat;
import dev.deckle.tokenizer.RegexSyntax.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// A regular expression in Oniguruma's syntax, which finds what Oniguruma finds, and ends whatever the expression is.
///
/// **Structure.** [RegexSyntax] reads the expression; this class turns its tree into a program for a machine that
/// backtracks: instructions take characters or fork, and what a fork has left untried waits on a stack. The commonest
/// thing by far, the repetition of one set, is one instruction.
///
/// **Rejected.** `java.util.regex` behind a translation: it means something else by a dozen signs, runs out of stack on
/// a group that repeats ten thousand times, and for an expression such as `(a*)*b` no end is in sight. Here the stack
/// is an array, and the steps are counted: some hundred for each character of the text are allowed, which expressions
/// that split text never need.
final class Regex {
    private static final RegexSyntax.Anchor[] ANCHORS = RegexSyntax.Anchor.values();
    private static final int MAX_PROGRAM = 1 << 16;
    private static final int MAX_STACK = 1 << 26;
    private static final long STEPS_A_CHARACTER = 300;
    private static final long STEPS_AT_LEAST = 1_000_000;

    // The instructions; a and b are the operands.
    private static final int ONE = 0; // a character of set a
    private static final int RUN = 1; // as many of set a as there are; loops[b] says how many; gives back one by one
    private static final int FORK = 2; // go on at a; if that fails, at b
    private static final int JUMP = 3; // go on at a
    private static final int PLACE = 4; // an anchor, a its number
    private static final int LOOK = 5; // looks[a]; the body begins behind this, b is where to go on
    private static final int MARK = 6; // remember in register a that a repetition begins here
    private static final int PROGRESS = 7; // if nothing was taken since register a, go on at b
    private static final int HERE = 8; // looking behind has come back to where it began
    private static final int MATCH = 9;
    private static final int WHERE = 10; // if the next character is not of set a, go on at b

    private record Loop(int min, int max, boolean possessive) {}

    /// @param atomic takes what it finds; otherwise it only looks
    /// @param min the fewest characters, for looking behind
    /// @param max the most
    private record Inner(boolean atomic, boolean behind, boolean negative, int min, int max) {}

    private final String source;
    private final String shown; // in messages
    private final String where;
    private final List<int[]> program = new ArrayList<>();
    private final List<CharSet> sets = new ArrayList<>();
    private final List<Loop> loops = new ArrayList<>();
    private final List<Inner> inners = new ArrayList<>();
    private int registers;
    private int emitted;
    private final int[] op;
    private final int[] a;
    private final int[] b;
    private final CharSet[] setOf;
    private final Loop[] loopOf;

    private Regex(String source, String where) {
        this.source = source;
        this.where = where;
        shown = (source.length() > 120 ? source.substring(0, 120) + "..." : source).replaceAll("\\R", " ");
        emit(RegexSyntax.parse(source, where));
        add(MATCH, 0, 0);
        op = program.stream().mapToInt(i -> i[0]).toArray();
        a = program.stream().mapToInt(i -> i[1]).toArray();
        b = program.stream().mapToInt(i -> i[2]).toArray();
        setOf = sets.toArray(CharSet[]::new);
        loopOf = loops.toArray(Loop[]::new);
    }

    /// @param where the key that holds the expression
    /// @throws IllegalArgumentException if it is none, or one with something unsupported
    static Regex of(String source, String where) {
        return new Regex(source, where);
    }

    String source() {
        return source;
    }

    /// Where the matches in `text` begin and end, one behind the other. An empty one directly behind another is none.
    ///
    /// @throws IllegalStateException if the expression takes too long on this text
    IntList matches(String text) {
        var found = new IntList();
        var machine = new Machine(text);
        int lastEnd = -1;
        for (int from = 0; from <= text.length();) {
            int start = from;
            int end = machine.run(0, start);
            while (end < 0 && start < text.length()) {
                start += Character.charCount(text.codePointAt(start));
                end = machine.run(0, start);
            }
            if (end < 0) {
                break;
            }
            if (end == start && end == lastEnd) {
                from += from < text.length() ? Character.charCount(text.codePointAt(from)) : 1;
            } else {
                found.add(start);
                found.add(end);
                from = end;
                lastEnd = end;
            }
        }
        return found;
    }

    private int add(int instruction, int first, int second) {
        if (program.size() == MAX_PROGRAM) {
            throw tooLarge();
        }
        program.add(new int[] {instruction, first, second});
        return program.size() - 1;
    }

    private IllegalArgumentException tooLarge() {
        return new IllegalArgumentException(where + " is an expression that is too large when written out: " + shown);
    }

    private void emit(Node node) {
        if (++emitted > MAX_PROGRAM) { // counted here, too, for what is repeated may be nothing
            throw tooLarge();
        }
        switch (node) {
            case One one -> add(ONE, set(one.set()), 0);
            case Sequence all -> all.parts().forEach(this::emit);
            case Choice any -> choice(any.branches());
            case Repeat r -> repeat(r);
            case Place p -> add(PLACE, p.anchor().ordinal(), 0);
            case Atomic g -> inner(g.body(), new Inner(true, false, false, 0, 0));
            case Look l -> {
                long[] width = l.behind() ? width(l.body()) : new long[2];
                inner(l.body(), new Inner(false, l.behind(), l.negative(),
                        (int) Math.min(width[0], Integer.MAX_VALUE), (int) Math.min(width[1], Integer.MAX_VALUE)));
            }
        }
    }

    private int set(CharSet set) {
        sets.add(set);
        return sets.size() - 1;
    }

    private void choice(List<Node> branches) {
        var jumps = new ArrayList<Integer>();
        for (int i = 0; i < branches.size(); i++) {
            boolean last = i == branches.size() - 1;
            CharSet first = last ? null : first(branches.get(i));
            int guard = first == null ? -1 : add(WHERE, set(first), 0); // most branches cannot begin here
            int fork = last ? -1 : add(FORK, program.size() + 1, 0);
            emit(branches.get(i));
            if (!last) {
                jumps.add(add(JUMP, 0, 0));
                program.get(fork)[2] = program.size();
                if (guard >= 0) {
                    program.get(guard)[2] = program.size();
                }
            }
        }
        jumps.forEach(j -> program.get(j)[1] = program.size());
    }

    /// The characters that what `node` takes can begin with; null if it may take none.
    private static CharSet first(Node node) {
        return switch (node) {
            case One one -> one.set();
            case Sequence all -> {
                CharSet any = null;
                for (Node part : all.parts()) {
                    CharSet some = part instanceof Repeat r ? first(r.body()) : first(part);
                    if (some == null && !(part instanceof Look || part instanceof Place)) {
                        yield null;
                    }
                    any = some == null ? any : any == null ? some : any.or(some);
                    if (some != null && !(part instanceof Repeat r && r.min() == 0)) {
                        yield any;
                    }
                }
                yield null;
            }
            case Choice any -> {
                CharSet all = null;
                for (Node branch : any.branches()) {
                    CharSet some = first(branch);
                    if (some == null) {
                        yield null;
                    }
                    all = all == null ? some : all.or(some);
                }
                yield all;
            }
            case Repeat r -> r.min() == 0 ? null : first(r.body());
            case Atomic g -> first(g.body());
            case Look _, Place _ -> null;
        };
    }

    private void repeat(Repeat r) {
        if (r.body() instanceof One one && r.mode() != Mode.LAZY) {
            loops.add(new Loop(r.min(), r.max(), r.mode() == Mode.POSSESSIVE));
            add(RUN, set(one.set()), loops.size() - 1);
            return;
        }
        if (r.mode() == Mode.POSSESSIVE) {
            inner(new Repeat(r.body(), r.min(), r.max(), Mode.GREEDY), new Inner(true, false, false, 0, 0));
            return;
        }
        for (int n = 0; n < r.min(); n++) {
            emit(r.body());
        }
        boolean lazy = r.mode() == Mode.LAZY;
        if (r.max() == RegexSyntax.UNBOUNDED) {
            int fork = add(FORK, 0, 0);
            int register = registers++;
            add(MARK, register, 0);
            emit(r.body());
            int progress = add(PROGRESS, register, 0);
            add(JUMP, fork, 0);
            program.get(progress)[2] = program.size();
            fork(fork, fork + 1, program.size(), lazy);
        } else {
            var forks = new ArrayList<Integer>();
            for (int n = r.min(); n < r.max(); n++) {
                forks.add(add(FORK, 0, 0));
                emit(r.body());
            }
            forks.forEach(f -> fork(f, f + 1, program.size(), lazy));
        }
    }

    private void fork(int at, int body, int out, boolean lazy) {
        program.get(at)[1] = lazy ? out : body;
        program.get(at)[2] = lazy ? body : out;
    }

    private void inner(Node body, Inner kind) {
        inners.add(kind);
        int look = add(LOOK, inners.size() - 1, 0);
        emit(body);
        if (kind.behind) {
            add(HERE, 0, 0);
        }
        add(MATCH, 0, 0);
        program.get(look)[2] = program.size();
    }

    /// The fewest and the most characters that `node` takes.
    private static long[] width(Node node) {
        return switch (node) {
            case One _ -> new long[] {1, 1};
            case Sequence all -> {
                long[] sum = new long[2];
                for (Node part : all.parts()) {
                    long[] w = width(part);
                    sum[0] += w[0];
                    sum[1] += w[1];
                }
                yield sum;
            }
            case Choice any -> {
                long[] widest = {Long.MAX_VALUE, 0};
                for (Node branch : any.branches()) {
                    long[] w = width(branch);
                    widest[0] = Math.min(widest[0], w[0]);
                    widest[1] = Math.max(widest[1], w[1]);
                }
                yield widest;
            }
            case Repeat r -> {
                long[] w = width(r.body());
                yield new long[] {Math.min(w[0], 1 << 20) * r.min(), Math.min(w[1], 1 << 20) * r.max()};
            }
            case Atomic g -> width(g.body());
            case Look _, Place _ -> new long[2];
        };
    }

    /// The machine on one text.
    private final class Machine {
        private final char[] text;
        private final int[] marks = new int[registers];
        // What is untried: (place in the program, position in the text, least position of a run that gives back), or
        // (-1 - register, its former value, 0).
        private int[] stack = new int[96];
        private int top;
        private long steps;
        private int here;

        Machine(String text) {
            this.text = text.toCharArray();
            steps = STEPS_AT_LEAST + STEPS_A_CHARACTER * text.length();
        }

        /// The end of the match of the program from `pc` that begins at `position`, or -1. Calls itself only for
        /// groups within groups.
        int run(int pc, int position) {
            int bottom = top;
            int at = position;
            while (true) {
                if (--steps < 0) {
                    throw new IllegalStateException(where + ": the expression '" + shown + "' takes more than "
                            + STEPS_A_CHARACTER + " steps a character on a text of " + text.length + " characters");
                }
                boolean good = true;
                switch (op[pc]) {
                    case ONE -> {
                        if (at < text.length) {
                            int c = codePointAt(at);
                            good = setOf[a[pc]].test(c);
                            at += Character.charCount(c);
                        } else {
                            good = false;
                        }
                        pc++;
                    }
                    case RUN -> {
                        int end = runEnd(pc, at);
                        good = end >= 0;
                        if (good) {
                            at = end;
                            pc++;
                        }
                    }
                    case FORK -> {
                        push(b[pc], at, -1);
                        pc = a[pc];
                    }
                    case WHERE -> pc = at < text.length && setOf[a[pc]].test(codePointAt(at)) ? pc + 1 : b[pc];
                    case JUMP -> pc = a[pc];
                    case PLACE -> {
                        good = isAt(ANCHORS[a[pc]], at);
                        pc++;
                    }
                    case LOOK -> {
                        Inner kind = inners.get(a[pc]);
                        int end = kind.behind ? behind(kind, pc + 1, at) : run(pc + 1, at);
                        good = end >= 0 != kind.negative;
                        at = kind.atomic ? end : at;
                        pc = b[pc];
                    }
                    case MARK -> {
                        push(-1 - a[pc], marks[a[pc]], 0);
                        marks[a[pc]] = at;
                        pc++;
                    }
                    case PROGRESS -> pc = marks[a[pc]] == at ? b[pc] : pc + 1;
                    case HERE -> {
                        good = at == here;
                        pc++;
                    }
                    default -> {
                        restore(bottom);
                        return at;
                    }
                }
                if (!good) {
                    if (!pop(bottom)) {
                        return -1;
                    }
                    pc = stack[top];
                    at = stack[top + 1];
                    int least = stack[top + 2];
                    if (least >= 0 && at > least) { // a run that may give back one more
                        push(pc, at - (at - 1 > least && Character.isLowSurrogate(text[at - 1])
                                && Character.isHighSurrogate(text[at - 2]) ? 2 : 1), least);
                    }
                }
            }
        }

        private int codePointAt(int i) {
            char c = text[i];
            return Character.isHighSurrogate(c) ? Character.codePointAt(text, i) : c;
        }

        /// Takes a run and puts what it may give back on the stack.
        private int runEnd(int pc, int from) {
            CharSet set = setOf[a[pc]];
            Loop loop = loopOf[b[pc]];
            int n = 0;
            int least = from;
            int end = from;
            while (n < loop.max && end < text.length) {
                int c = codePointAt(end);
                if (!set.test(c)) {
                    break;
                }
                end += Character.charCount(c);
                if (++n == loop.min) {
                    least = end;
                }
            }
            steps -= n;
            if (n < loop.min) {
                return -1;
            }
            if (end > least && !loop.possessive) {
                int last = Character.charCount(Character.codePointBefore(text, end));
                push(pc + 1, end - last, least);
            }
            return end;
        }

        private int behind(Inner kind, int pc, int at) {
            int outer = here;
            here = at;
            int start = at;
            int end = -1;
            for (int n = 0; n <= kind.max && end < 0; n++) { // n never overflows: a text is shorter
                if (n >= kind.min) {
                    end = run(pc, start);
                }
                if (start == 0) {
                    break;
                }
                start -= Character.charCount(Character.codePointBefore(text, start));
            }
            here = outer;
            return end;
        }

        private boolean isAt(RegexSyntax.Anchor anchor, int at) {
            int end = text.length;
            return switch (anchor) {
                case LINE_START -> at == 0 || text[at - 1] == '\n' && at < end;
                case LINE_END -> at == end || text[at] == '\n';
                case TEXT_START -> at == 0;
                case TEXT_END -> at == end;
                case LAST_LINE_END -> at == end || at == end - 1 && text[at] == '\n';
                case WORD_EDGE -> wordBefore(at) != wordAt(at);
                case NO_WORD_EDGE -> wordBefore(at) == wordAt(at);
            };
        }

        private boolean wordBefore(int at) {
            return at > 0 && CharSet.WORD.test(Character.codePointBefore(text, at));
        }

        private boolean wordAt(int at) {
            return at < text.length && CharSet.WORD.test(codePointAt(at));
        }

        private void push(int pc, int position, int least) {
            if (top + 3 > stack.length) {
                if (top > MAX_STACK) {
                    throw new IllegalStateException(where + ": the expression '" + shown
                            + "' keeps too much to try on a text of " + text.length + " characters");
                }
                stack = Arrays.copyOf(stack, stack.length * 2);
            }
            stack[top] = pc;
            stack[top + 1] = position;
            stack[top + 2] = least;
            top += 3;
        }

        /// Takes from the stack until something untried comes up, which is then at `top`.
        private boolean pop(int bottom) {
            while (top > bottom) {
                top -= 3;
                if (stack[top] >= 0) {
                    return true;
                }
                marks[-1 - stack[top]] = stack[top + 1];
            }
            return false;
        }

        /// Forgets what is untried since `bottom`, for the match is found.
        private void restore(int bottom) {
            while (top > bottom) {
                top -= 3;
                if (stack[top] < 0) {
                    marks[-1 - stack[top]] = stack[top + 1];
                }
            }
        }
    }
}
