package dev.deckle.tokenizer;

import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntPredicate;

/// A set of code points, as a class of a regular expression means it. ASCII, which is most of most texts, is a bitmap;
/// beyond it the definition is asked.
final class CharSet implements IntPredicate {
    /// `\s`: White_Space.
    static final CharSet SPACE = new CharSet(c -> CharClass.kindOf(c) == CharClass.BLANK);
    /// `\d`: decimal digits.
    static final CharSet DIGIT = new CharSet(c -> Character.getType(c) == Character.DECIMAL_DIGIT_NUMBER);
    /// `\w`: letters, marks, decimal digits and connectors, and Oniguruma's addition of the numbers of Latin-1.
    static final CharSet WORD = new CharSet(c -> isLetterMarkOrDigit(c) || c < 0x100
            && Character.getType(c) == Character.OTHER_NUMBER);
    /// As `\w` is meant in Rust, with the two joiners: the words of added tokens and of the pre-tokenizer Whitespace.
    static final CharSet RUST_WORD = new CharSet(c -> isLetterMarkOrDigit(c) || c == 0x200C || c == 0x200D);
    static final CharSet ANY = new CharSet(c -> true);
    static final CharSet NOT_NEWLINE = new CharSet(c -> c != '\n');
    static final CharSet HEX_DIGIT = new CharSet(c -> c < 128 && Character.digit(c, 16) >= 0);

    /// The names of POSIX, which Oniguruma knows as properties too.
    private static final Map<String, CharSet> NAMED = Map.ofEntries(
            Map.entry("any", ANY),
            Map.entry("alnum", new CharSet(c -> Character.isAlphabetic(c) || DIGIT.test(c))),
            Map.entry("alpha", new CharSet(Character::isAlphabetic)),
            Map.entry("ascii", new CharSet(c -> c < 128)),
            Map.entry("blank", new CharSet(c -> c == '\t' || Character.getType(c) == Character.SPACE_SEPARATOR)),
            Map.entry("cntrl", new CharSet(c -> Character.getType(c) == Character.CONTROL)),
            Map.entry("digit", DIGIT),
            Map.entry("graph", new CharSet(c -> !SPACE.test(c) && isPrinted(c))),
            Map.entry("lower", new CharSet(Character::isLowerCase)),
            Map.entry("print", new CharSet(c -> isPrinted(c) && (!SPACE.test(c)
                    || Character.getType(c) == Character.SPACE_SEPARATOR))),
            Map.entry("punct", new CharSet(CharSet::isPunctuation)),
            Map.entry("space", SPACE),
            Map.entry("upper", new CharSet(Character::isUpperCase)),
            Map.entry("word", WORD),
            Map.entry("xdigit", HEX_DIGIT),
            Map.entry("alphabetic", new CharSet(Character::isAlphabetic)),
            Map.entry("lowercase", new CharSet(Character::isLowerCase)),
            Map.entry("uppercase", new CharSet(Character::isUpperCase)),
            Map.entry("whitespace", SPACE),
            Map.entry("ideographic", new CharSet(Character::isIdeographic)),
            Map.entry("emoji", new CharSet(Character::isEmoji)),
            Map.entry("emojipresentation", new CharSet(Character::isEmojiPresentation)),
            Map.entry("emojimodifier", new CharSet(Character::isEmojiModifier)),
            Map.entry("emojimodifierbase", new CharSet(Character::isEmojiModifierBase)),
            Map.entry("emojicomponent", new CharSet(Character::isEmojiComponent)),
            Map.entry("extendedpictographic", new CharSet(Character::isExtendedPictographic)));

    /// The general categories by the numbers of [Character#getType].
    private static final String[] CATEGORIES = {
        "cn", "lu", "ll", "lt", "lm", "lo", "mn", "me", "mc", "nd", "nl", "no", "zs", "zl", "zp", "cc", "cf", "",
        "co", "cs", "pd", "ps", "pe", "pc", "po", "sm", "sc", "sk", "so", "pi", "pf"
    };
    private static final Map<String, String> LONG_CATEGORIES = Map.ofEntries(
            Map.entry("letter", "l"), Map.entry("uppercaseletter", "lu"), Map.entry("lowercaseletter", "ll"),
            Map.entry("titlecaseletter", "lt"), Map.entry("modifierletter", "lm"), Map.entry("otherletter", "lo"),
            Map.entry("mark", "m"), Map.entry("nonspacingmark", "mn"), Map.entry("spacingmark", "mc"),
            Map.entry("enclosingmark", "me"), Map.entry("number", "n"), Map.entry("decimalnumber", "nd"),
            Map.entry("letternumber", "nl"), Map.entry("othernumber", "no"), Map.entry("punctuation", "p"),
            Map.entry("symbol", "s"), Map.entry("separator", "z"), Map.entry("other", "c"),
            Map.entry("control", "cc"), Map.entry("format", "cf"), Map.entry("unassigned", "cn"),
            Map.entry("mathsymbol", "sm"), Map.entry("currencysymbol", "sc"), Map.entry("othersymbol", "so"));

    private final long low; // members below 64
    private final long high; // members in 64..127
    private final IntPredicate definition;

    CharSet(IntPredicate definition) {
        this.definition = definition;
        long first = 0;
        long second = 0;
        for (int c = 0; c < 64; c++) {
            first |= definition.test(c) ? 1L << c : 0;
            second |= definition.test(c + 64) ? 1L << c : 0;
        }
        low = first;
        high = second;
    }

    static CharSet of(int codePoint) {
        return new CharSet(c -> c == codePoint);
    }

    /// All characters that differ from `codePoint` in case only, and itself.
    static CharSet ignoringCase(int codePoint) {
        int folded = fold(codePoint);
        return new CharSet(c -> fold(c) == folded);
    }

    static CharSet range(int from, int to) {
        return new CharSet(c -> c >= from && c <= to);
    }

    @Override
    public boolean test(int c) {
        return c < 64 ? (low >>> c & 1) != 0 : c < 128 ? (high >>> c & 1) != 0 : definition.test(c);
    }

    CharSet or(CharSet other) {
        return new CharSet(c -> test(c) || other.test(c));
    }

    CharSet not() {
        return new CharSet(c -> !test(c));
    }

    /// All characters that differ from a member in case only.
    CharSet ignoringCase() {
        return new CharSet(c -> {
            int folded = fold(c);
            return test(c) || test(folded) || test(Character.toUpperCase(folded)) || test(Character.toTitleCase(folded))
                    || folded == 's' && test('\u017F') || folded == 'k' && test('\u212A')
                    || folded == 'å' && test('\u212B') || folded == 'μ' && test('µ');
        });
    }

    /// Equal for characters that differ in case only. The Turkish i's are letters of their own.
    private static int fold(int c) {
        return c == 'İ' || c == 'ı' ? c : Character.toLowerCase(Character.toUpperCase(c));
    }

    /// A class by the name of POSIX, as `[:alpha:]` has it. There, symbols are punctuation too.
    static Optional<CharSet> posix(String name) {
        return name.equals("punct") ? Optional.of(new CharSet(c -> isPunctuation(c) || isSymbol(c)))
                : Optional.ofNullable(NAMED.get(name));
    }

    /// A property by name: a general category, a script, a name of POSIX, or one of the binary properties that
    /// pre-tokenizers ask for. Case, blanks, hyphens and underscores in the name do not matter.
    static Optional<CharSet> property(String name) {
        String key = name.toLowerCase(Locale.ROOT).replaceAll("[ _-]", "");
        if (NAMED.containsKey(key)) {
            return Optional.of(NAMED.get(key));
        }
        int mask = categories(LONG_CATEGORIES.getOrDefault(key, key));
        if (mask != 0) {
            return Optional.of(new CharSet(c -> (mask >>> Character.getType(c) & 1) != 0));
        }
        for (var script : Character.UnicodeScript.values()) {
            if (script.name().replace("_", "").equalsIgnoreCase(key)) {
                return Optional.of(new CharSet(c -> Character.UnicodeScript.of(c) == script));
            }
        }
        return Optional.empty();
    }

    /// A bit for each category that `name`, of one or two letters, stands for.
    private static int categories(String name) {
        int mask = 0;
        for (int type = 0; type < CATEGORIES.length; type++) {
            String category = CATEGORIES[type];
            boolean cased = name.equals("lc") && (category.equals("lu") || category.equals("ll")
                    || category.equals("lt"));
            if (!category.isEmpty() && (category.equals(name) || name.length() == 1 && category.startsWith(name)
                    || cased)) {
                mask |= 1 << type;
            }
        }
        return mask;
    }

    private static boolean isLetterMarkOrDigit(int c) {
        return Character.isAlphabetic(c) || isMark(c) || DIGIT.test(c)
                || Character.getType(c) == Character.CONNECTOR_PUNCTUATION;
    }

    static boolean isMark(int c) {
        return switch (Character.getType(c)) {
            case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.COMBINING_SPACING_MARK -> true;
            default -> false;
        };
    }

    /// Whether `c` is of a category P.
    static boolean isPunctuation(int c) {
        return switch (Character.getType(c)) {
            case Character.DASH_PUNCTUATION, Character.START_PUNCTUATION, Character.END_PUNCTUATION,
                    Character.CONNECTOR_PUNCTUATION, Character.OTHER_PUNCTUATION,
                    Character.INITIAL_QUOTE_PUNCTUATION, Character.FINAL_QUOTE_PUNCTUATION -> true;
            default -> false;
        };
    }

    private static boolean isSymbol(int c) {
        return switch (Character.getType(c)) {
            case Character.MATH_SYMBOL, Character.CURRENCY_SYMBOL, Character.MODIFIER_SYMBOL,
                    Character.OTHER_SYMBOL -> true;
            default -> false;
        };
    }

    private static boolean isPrinted(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL, Character.SURROGATE, Character.UNASSIGNED -> false;
            default -> true;
        };
    }
}
