package dev.deckle.tokenizer;

import java.text.Normalizer.Form;
import java.util.List;
import java.util.function.IntPredicate;
import java.util.function.IntUnaryOperator;

/// The first stage: rewrites a text before it is cut, for example to lower case or to a Unicode normal form.
sealed interface Normalizer {
    String normalize(String text);

    /// Whether what `text` becomes begins with what its first character becomes: Metaspace's scheme "first" puts its
    /// mark only there.
    default boolean keepsStart(String text) {
        return true;
    }

    static Normalizer read(Fields stage) {
        return switch (stage.string("type")) {
            case "NFC" -> new Unicode(Form.NFC);
            case "NFD" -> new Unicode(Form.NFD);
            case "NFKC" -> new Unicode(Form.NFKC);
            case "NFKD" -> new Unicode(Form.NFKD);
            case "Lowercase" -> new Lowercase();
            case "Strip" -> new Strip(stage.flag("strip_left"), stage.flag("strip_right"));
            case "StripAccents" -> new StripAccents();
            case "Replace" -> new Replace(TextPattern.read(stage, "pattern"), stage.string("content"));
            case "Prepend" -> new Prepend(stage.string("prepend"));
            case "BertNormalizer" -> new Bert(stage.flag("clean_text"), stage.flag("handle_chinese_chars"),
                    stage.flag("strip_accents", stage.flag("lowercase")), stage.flag("lowercase"));
            case "Nmt" -> new Nmt();
            case "Precompiled" -> new Precompiled(new CharsMap(stage.optionalString("precompiled_charsmap").orElse(""),
                    stage.where("precompiled_charsmap")));
            case "ByteLevel" -> new ByteLevel();
            case "Sequence" -> new Sequence(stage.list("normalizers").stream().map(Normalizer::read).toList());
            default -> throw stage.wrong("type", "NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace, "
                    + "Prepend, BertNormalizer, Nmt, Precompiled, ByteLevel or Sequence");
        };
    }

    /// One of the four normal forms.
    record Unicode(Form form) implements Normalizer {
        @Override
        public String normalize(String text) {
            return java.text.Normalizer.normalize(text, form);
        }
    }

    record Lowercase() implements Normalizer {
        @Override
        public String normalize(String text) {
            return lowercase(text);
        }
    }

    /// Takes blanks away at the ends.
    record Strip(boolean left, boolean right) implements Normalizer {
        @Override
        public String normalize(String text) {
            int from = 0;
            int end = text.length();
            while (left && from < end && isBlank(text.charAt(from))) { // all blanks are of one char
                from++;
            }
            while (right && end > from && isBlank(text.charAt(end - 1))) {
                end--;
            }
            return text.substring(from, end);
        }

        @Override
        public boolean keepsStart(String text) {
            return !left || text.isEmpty() || !isBlank(text.charAt(0));
        }
    }

    /// Takes all combining marks away.
    record StripAccents() implements Normalizer {
        @Override
        public String normalize(String text) {
            return filter(text, c -> !CharSet.isMark(c));
        }

        @Override
        public boolean keepsStart(String text) {
            return text.isEmpty() || !CharSet.isMark(text.codePointAt(0));
        }
    }

    record Replace(TextPattern pattern, String content) implements Normalizer {
        @Override
        public String normalize(String text) {
            return pattern.replace(text, content);
        }

        /// What replaces several characters is counted as coming from the last of them.
        @Override
        public boolean keepsStart(String text) {
            IntList matches = pattern.matches(text);
            return matches.size() == 0 || matches.get(0) > 0 || text.codePointCount(0, matches.get(1)) <= 1;
        }
    }

    /// Puts something before a text that is not empty.
    record Prepend(String prefix) implements Normalizer {
        @Override
        public String normalize(String text) {
            return text.isEmpty() ? text : prefix + text;
        }
    }

    /// What BERT does (Devlin et al., 2018): control characters away, blanks to spaces, spaces around Chinese
    /// characters, accents away, lower case.
    record Bert(boolean cleanText, boolean handleChineseChars, boolean stripAccents, boolean lowercase)
            implements Normalizer {
        @Override
        public String normalize(String text) {
            String t = text;
            if (cleanText) {
                t = filter(t, Bert::isKept);
                t = map(t, c -> isBlank(c) ? ' ' : c);
            }
            if (handleChineseChars) {
                var out = new StringBuilder(t.length());
                t.codePoints().forEach(c -> {
                    if (isChinese(c)) {
                        out.append(' ').appendCodePoint(c).append(' ');
                    } else {
                        out.appendCodePoint(c);
                    }
                });
                t = out.toString();
            }
            if (stripAccents) {
                t = filter(java.text.Normalizer.normalize(t, Form.NFD),
                        c -> Character.getType(c) != Character.NON_SPACING_MARK);
            }
            return lowercase ? Normalizer.lowercase(t) : t;
        }

        @Override
        public boolean keepsStart(String text) {
            return !cleanText || text.isEmpty() || isKept(text.codePointAt(0));
        }

        private static boolean isKept(int c) {
            return c == '\t' || c == '\n' || c == '\r' || c != Utf8.REPLACEMENT && switch (Character.getType(c)) {
                case Character.CONTROL, Character.FORMAT, Character.PRIVATE_USE, Character.SURROGATE -> false;
                default -> true;
            };
        }

        private static boolean isChinese(int c) {
            return c >= 0x4E00 && c <= 0x9FFF || c >= 0x3400 && c <= 0x4DBF || c >= 0x20000 && c <= 0x2A6DF
                    || c >= 0x2A700 && c <= 0x2B73F || c >= 0x2B740 && c <= 0x2B81F || c >= 0x2B920 && c <= 0x2CEAF
                    || c >= 0xF900 && c <= 0xFAFF || c >= 0x2F800 && c <= 0x2FA1F;
        }
    }

    /// What SentencePiece's preset for translation adds to NFKC: controls away, many kinds of blanks to spaces.
    record Nmt() implements Normalizer {
        @Override
        public String normalize(String text) {
            return map(filter(text, Nmt::isKept), c -> switch (c) {
                case '\t', '\n', '\f', '\r', 0x1680, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029, 0x2581,
                        0xFEFF, 0xFFFD -> ' ';
                default -> c;
            });
        }

        @Override
        public boolean keepsStart(String text) {
            return text.isEmpty() || isKept(text.charAt(0));
        }

        private static boolean isKept(int c) {
            return !(c >= 1 && c <= 8 || c == 0x0B || c >= 0x0E && c <= 0x1F || c == 0x7F || c == 0x8F || c == 0x9F);
        }
    }

    record Precompiled(CharsMap map) implements Normalizer {
        @Override
        public String normalize(String text) {
            return map.normalize(text);
        }
    }

    /// Writes the bytes of a text in [ByteAlphabet].
    record ByteLevel() implements Normalizer {
        @Override
        public String normalize(String text) {
            byte[] bytes = Utf8.encode(text);
            return ByteAlphabet.toText(bytes, 0, bytes.length);
        }
    }

    record Sequence(List<Normalizer> stages) implements Normalizer {
        @Override
        public String normalize(String text) {
            String t = text;
            for (Normalizer stage : stages) {
                t = stage.normalize(t);
            }
            return t;
        }

        @Override
        public boolean keepsStart(String text) {
            String t = text;
            for (Normalizer stage : stages) {
                if (!stage.keepsStart(t)) {
                    return false;
                }
                t = stage.normalize(t);
            }
            return true;
        }
    }

    /// Each character by itself: a sigma at the end of a word is a sigma like others.
    private static String lowercase(String text) {
        var out = new StringBuilder(text.length());
        text.codePoints().forEach(c -> {
            if (c == 'İ') { // the one letter that becomes two
                out.append("i\u0307");
            } else {
                out.appendCodePoint(Character.toLowerCase(c));
            }
        });
        return out.toString();
    }

    private static boolean isBlank(int c) {
        return CharClass.kindOf(c) == CharClass.BLANK;
    }

    private static String filter(String text, IntPredicate kept) {
        var out = new StringBuilder(text.length());
        text.codePoints().filter(kept).forEach(out::appendCodePoint);
        return out.toString();
    }

    private static String map(String text, IntUnaryOperator rewritten) {
        var out = new StringBuilder(text.length());
        text.codePoints().map(rewritten).forEach(out::appendCodePoint);
        return out.toString();
    }
}
