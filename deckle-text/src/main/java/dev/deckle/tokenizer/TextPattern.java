package dev.deckle.tokenizer;

import com.google.gson.JsonObject;
import dev.deckle.io.Shown;

/// What a stage looks for: a string as it is, or a regular expression.
sealed interface TextPattern {
    /// Where the matches in `text` begin and end, one behind the other.
    IntList matches(String text);

    /// From `{"String": "..."}` or `{"Regex": "..."}`.
    static TextPattern read(Fields stage, String key) {
        if (stage.raw(key) instanceof JsonObject) {
            Fields pattern = stage.fields(key);
            if (pattern.has("String")) {
                String literal = pattern.string("String");
                return literal.isEmpty() ? new Expression(Regex.of("", pattern.where("String"))) : new Literal(literal);
            }
            if (pattern.has("Regex")) {
                return new Expression(Regex.of(pattern.string("Regex"), pattern.where("Regex")));
            }
        }
        throw stage.wrong(key, "{\"String\": ...} or {\"Regex\": ...}");
    }

    /// What a replacement may let a text grow to: some dozens, each twice as long, would fill any memory.
    int LONGEST = 1 << 24;

    default String replace(String text, String content) {
        IntList matches = matches(text);
        if (matches.size() == 0) {
            return text;
        }
        var out = new StringBuilder(text.length());
        int done = 0;
        for (int i = 0; i < matches.size(); i += 2) {
            out.append(text, done, matches.get(i)).append(content);
            done = matches.get(i + 1);
            if (out.length() > LONGEST && out.length() > done) {
                throw new IllegalArgumentException("tokenizer.json: normalizer makes the text longer than " + LONGEST
                        + " characters by replacing parts of it with \"" + Shown.brief(content) + "\"");
            }
        }
        return out.append(text, done, text.length()).toString();
    }

    /// @param literal not empty
    record Literal(String literal) implements TextPattern {
        @Override
        public IntList matches(String text) {
            var found = new IntList();
            for (int i = text.indexOf(literal); i >= 0; i = text.indexOf(literal, i + literal.length())) {
                found.add(i);
                found.add(i + literal.length());
            }
            return found;
        }
    }

    record Expression(Regex regex) implements TextPattern {
        @Override
        public IntList matches(String text) {
            return text.isEmpty() ? new IntList() : regex.matches(text);
        }
    }

    /// Runs of the characters of words, and runs of what is neither that nor a blank.
    record WordsOrSymbols() implements TextPattern {
        private static final int BLANK = 0;
        private static final int WORD = 1;
        private static final int SYMBOL = 2;

        @Override
        public IntList matches(String text) {
            var found = new IntList();
            int from = 0;
            int run = BLANK;
            for (int i = 0; i <= text.length();) {
                int c = i < text.length() ? text.codePointAt(i) : ' ';
                int kind = CharSet.RUST_WORD.test(c) ? WORD : CharSet.SPACE.test(c) ? BLANK : SYMBOL;
                if (kind != run) {
                    if (run != BLANK) {
                        found.add(from);
                        found.add(i);
                    }
                    from = i;
                    run = kind;
                }
                i += Character.charCount(c);
            }
            return found;
        }
    }
}
