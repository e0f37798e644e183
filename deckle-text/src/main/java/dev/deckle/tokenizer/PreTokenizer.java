package dev.deckle.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.IntPredicate;

/// The second stage: cuts a text into the pieces that the model takes one by one.
sealed interface PreTokenizer {
    /// A piece; `first` if it begins where the whole text began.
    record Piece(String text, boolean first) {}

    /// Gives the parts of `piece` to `out`, from left to right; empty ones may be among them.
    void split(Piece piece, Consumer<Piece> out);

    static PreTokenizer read(Fields stage) {
        return switch (stage.string("type")) {
            case "ByteLevel" -> new ByteLevel(stage.flag("add_prefix_space"), stage.flag("use_regex", true), true);
            case "Split" -> new Split(TextPattern.read(stage, "pattern"), stage.oneOf("behavior", Behavior.values()),
                    stage.flag("invert"));
            case "Metaspace" -> metaspace(stage);
            case "Whitespace" -> new Split(new TextPattern.WordsOrSymbols(), Behavior.REMOVED, true);
            case "WhitespaceSplit" -> new Characters(CharSet.SPACE, Behavior.REMOVED);
            case "Punctuation" -> new Characters(PUNCTUATION,
                    stage.has("behavior") ? stage.oneOf("behavior", Behavior.values()) : Behavior.ISOLATED);
            case "Digits" -> new Characters(NUMBER,
                    stage.flag("individual_digits") ? Behavior.ISOLATED : Behavior.CONTIGUOUS);
            case "BertPreTokenizer" -> new Sequence(List.of(new Characters(CharSet.SPACE, Behavior.REMOVED),
                    new Characters(PUNCTUATION, Behavior.ISOLATED)));
            case "CharDelimiterSplit" -> new Characters(CharSet.of(stage.character("delimiter")), Behavior.REMOVED);
            case "UnicodeScripts" -> new UnicodeScripts();
            case "FixedLength" -> new FixedLength(stage.has("length") ? stage.count("length", 1) : 5);
            case "Sequence" -> new Sequence(stage.list("pretokenizers").stream().map(PreTokenizer::read).toList());
            default -> throw stage.wrong("type", "ByteLevel, Split, Metaspace, Whitespace, WhitespaceSplit, "
                    + "Punctuation, Digits, BertPreTokenizer, CharDelimiterSplit, UnicodeScripts, FixedLength or "
                    + "Sequence");
        };
    }

    private static Metaspace metaspace(Fields stage) {
        var scheme = stage.has("prepend_scheme") ? stage.oneOf("prepend_scheme", Metaspace.Prepend.values())
                : Metaspace.Prepend.ALWAYS;
        if (!stage.flag("add_prefix_space", true)) { // the key of early files
            if (scheme != Metaspace.Prepend.NEVER && stage.has("prepend_scheme")) {
                throw stage.wrong("prepend_scheme", "never, since add_prefix_space is false");
            }
            scheme = Metaspace.Prepend.NEVER;
        }
        return new Metaspace(stage.character("replacement"), scheme, stage.flag("split", true));
    }

    CharSet NUMBER = new CharSet(c -> CharClass.kindOf(c) == CharClass.NUMBER);
    CharSet PUNCTUATION = new CharSet(c -> CharSet.isPunctuation(c) || c < 128 && "$+<=>^`|~".indexOf(c) >= 0);

    /// What happens to what a split finds.
    enum Behavior {
        REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS
    }

    /// Cuts at what `pattern` finds or, with `invert`, at what it does not find.
    record Split(TextPattern pattern, Behavior behavior, boolean invert) implements PreTokenizer {
        @Override
        public void split(Piece piece, Consumer<Piece> out) {
            cut(piece, pattern.matches(piece.text), behavior, invert, out);
        }
    }

    /// Cuts at each character of a set.
    record Characters(IntPredicate set, Behavior behavior) implements PreTokenizer {
        @Override
        public void split(Piece piece, Consumer<Piece> out) {
            var found = new IntList();
            String text = piece.text;
            for (int i = 0; i < text.length();) {
                int c = text.codePointAt(i);
                int end = i + Character.charCount(c);
                if (set.test(c)) {
                    found.add(i);
                    found.add(end);
                }
                i = end;
            }
            cut(piece, found, behavior, false, out);
        }
    }

    /// GPT-2's pieces, each written in [ByteAlphabet].
    ///
    /// @param spelled whether to write the bytes so; a model of bytes takes the text itself
    record ByteLevel(boolean addPrefixSpace, boolean useRegex, boolean spelled) implements PreTokenizer {
        private static final PieceScanner WORDS = new PieceScanner.Gpt2();

        @Override
        public void split(Piece piece, Consumer<Piece> out) {
            String text = addPrefixSpace && !piece.text.startsWith(" ") ? " " + piece.text : piece.text;
            byte[] bytes = Utf8.encode(text);
            for (int i = 0; i < bytes.length;) {
                int end = useRegex ? WORDS.pieceEnd(bytes, i, bytes.length) : bytes.length;
                out.accept(new Piece(spelled ? ByteAlphabet.toText(bytes, i, end) : Utf8.decode(bytes, i, end),
                        piece.first && i == 0));
                i = end;
            }
        }
    }

    /// SentencePiece's words: spaces become a visible character, `▁`, and a word begins at each.
    record Metaspace(int replacement, Prepend prepend, boolean split) implements PreTokenizer {
        enum Prepend {
            ALWAYS, FIRST, NEVER
        }

        @Override
        public void split(Piece piece, Consumer<Piece> out) {
            String mark = Character.toString(replacement);
            String text = piece.text.replace(" ", mark);
            boolean prepends = prepend == Prepend.ALWAYS || prepend == Prepend.FIRST && piece.first;
            if (prepends && !text.startsWith(mark)) {
                text = mark + text;
            }
            Piece whole = new Piece(text, piece.first);
            if (split) {
                cut(whole, new TextPattern.Literal(mark).matches(text), Behavior.MERGED_WITH_NEXT, false, out);
            } else {
                out.accept(whole);
            }
        }
    }

    /// Cuts where the script changes. Kana counts as Han; spaces and what has no script go with what is before them,
    /// and are lost where nothing is before them.
    record UnicodeScripts() implements PreTokenizer {
        @Override
        public void split(Piece piece, Consumer<Piece> out) {
            String text = piece.text;
            int from = text.length();
            Character.UnicodeScript last = null;
            for (int i = 0; i < text.length();) {
                int c = text.codePointAt(i);
                var script = script(c);
                if (script != null && script != last) {
                    if (last != null) {
                        out.accept(new Piece(text.substring(from, i), piece.first && from == 0));
                    }
                    from = i;
                    last = script;
                }
                i += Character.charCount(c);
            }
            out.accept(new Piece(text.substring(from), piece.first && from == 0));
        }

        /// Null for what goes with any script.
        private static Character.UnicodeScript script(int c) {
            if (c == ' ') {
                return null;
            }
            var script = c == 0x30FC ? Character.UnicodeScript.HAN : Character.UnicodeScript.of(c);
            return switch (script) {
                case HIRAGANA, KATAKANA -> Character.UnicodeScript.HAN;
                case UNKNOWN -> null;
                default -> script;
            };
        }
    }

    /// Cuts after every `length` characters.
    record FixedLength(int length) implements PreTokenizer {
        @Override
        public void split(Piece piece, Consumer<Piece> out) {
            String text = piece.text;
            int from = 0;
            int n = 0;
            for (int i = 0; i < text.length();) {
                i += Character.charCount(text.codePointAt(i));
                if (++n == length || i == text.length()) {
                    out.accept(new Piece(text.substring(from, i), piece.first && from == 0));
                    from = i;
                    n = 0;
                }
            }
        }
    }

    record Sequence(List<PreTokenizer> stages) implements PreTokenizer {
        @Override
        public void split(Piece piece, Consumer<Piece> out) {
            List<Piece> pieces = List.of(piece);
            for (PreTokenizer stage : stages) {
                var parts = new ArrayList<Piece>();
                for (Piece p : pieces) {
                    stage.split(p, part -> {
                        if (!part.text.isEmpty()) {
                            parts.add(part);
                        }
                    });
                }
                pieces = parts;
            }
            pieces.forEach(out);
        }
    }

    /// Cuts `piece` into what lies between the matches and, as `behavior` says, the matches themselves.
    private static void cut(Piece piece, IntList matches, Behavior behavior, boolean invert, Consumer<Piece> out) {
        var ends = new IntList(); // of all parts; whether each is a match goes with it
        var match = new IntList();
        int done = 0;
        for (int i = 0; i < matches.size(); i += 2) {
            if (matches.get(i) > done) {
                ends.add(matches.get(i));
                match.add(invert ? 1 : 0);
            }
            ends.add(matches.get(i + 1));
            match.add(invert ? 0 : 1);
            done = matches.get(i + 1);
        }
        if (done < piece.text.length()) {
            ends.add(piece.text.length());
            match.add(invert ? 1 : 0);
        }
        int from = 0;
        for (int i = 0; i < ends.size(); i++) {
            boolean last = i + 1 == ends.size();
            boolean joined = !last && switch (behavior) {
                case REMOVED, ISOLATED -> false;
                case CONTIGUOUS -> match.get(i) == match.get(i + 1);
                case MERGED_WITH_PREVIOUS -> match.get(i) == 0 && match.get(i + 1) == 1;
                case MERGED_WITH_NEXT -> match.get(i) == 1 && match.get(i + 1) == 0;
            };
            if (!joined) {
                if (behavior != Behavior.REMOVED || match.get(i) == 0) {
                    out.accept(new Piece(piece.text.substring(from, ends.get(i)), piece.first && from == 0));
                }
                from = ends.get(i);
            }
        }
    }
}
