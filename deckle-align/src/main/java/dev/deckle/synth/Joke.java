package dev.deckle.synth;

import com.google.gson.JsonObject;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A joke by its structure: a build-up makes the listener assume something; a connector, a word that can be read in two
/// ways, lets it be read anew; and the punchline tells the other reading.
///
/// Written with a tag a part, in this order. A closing tag may be left out, as a part also ends where the next begins:
/// ```
/// <buildup>Today I talked with the interviewer about large models.</buildup>
/// <assumption>You are experts in high technology.</assumption>
/// <connector>large models (language models; large scale models)</connector>
/// <reinterpretation>A very large scale model of the globe.</reinterpretation>
/// <punchline>Carrying it into the room broke my back.</punchline>
/// ```
///
/// @param connector a term, and behind it, in brackets or after a colon, its readings if wanted
record Joke(String buildup, String assumption, String connector, String reinterpretation, String punchline) {
    /// The parts by their tags.
    enum Part {
        BUILDUP("buildup", "铺垫"),
        ASSUMPTION("assumption", "target_assumption", "target_假设", "目标假设"),
        CONNECTOR("connector", "连接点"),
        REINTERPRETATION("reinterpretation", "再解读"),
        PUNCHLINE("punchline", "puchline", "笑点");

        final List<String> tags; // the first is the one that is written

        Part(String... tags) {
            this.tags = List.of(tags);
        }

        static Part of(String tag) {
            for (Part p : values()) {
                if (p.tags.contains(tag.toLowerCase(Locale.ROOT))) {
                    return p;
                }
            }
            throw new IllegalArgumentException("<" + tag + "> is no part of a joke");
        }
    }

    private static final Pattern TAG = Pattern.compile("<(/?)([\\p{L}_]+)>");
    private static final Pattern READINGS = Pattern.compile("[(（:：]");
    private static final int SCRIPTS_WITHOUT_BLANKS = 0x2E80; // Chinese, Japanese and their punctuation, and above

    /// What a model is told, to make one.
    static String template(String topic) {
        return """
                Write a joke about this: %s

                Build it in five parts, in this order and with these tags, and write nothing else:
                <buildup>one or two sentences that set the scene</buildup>
                <assumption>what the listener will take for granted</assumption>
                <connector>a word or phrase of the build-up, and in brackets its two readings</connector>
                <reinterpretation>the other reading, and what follows from it</reinterpretation>
                <punchline>one sentence that makes the listener see the other reading</punchline>""".formatted(topic);
    }

    /// Reads what a model wrote; thoughts before it are passed over.
    ///
    /// @throws IllegalArgumentException saying what is wrong: a part missing, twice, empty or in another place, text
    ///     outside of the parts, a connector that is not in the build-up, a punchline that was told before, or a
    ///     reinterpretation that is the assumption
    static Joke parse(String written) {
        String text = written.substring(Math.max(0, behindThoughts(written))).strip();
        Map<Part, String> parts = new EnumMap<>(Part.class);
        Matcher tag = TAG.matcher(text);
        Part open = null;
        int from = 0;
        while (tag.find()) {
            String before = text.substring(from, tag.start()).strip();
            Part part = Part.of(tag.group(2));
            boolean closing = !tag.group(1).isEmpty();
            if (open == null && !before.isEmpty()) {
                throw new IllegalArgumentException("text outside of the parts, before <" + tag.group(2) + ">");
            }
            if (closing && part != open) {
                throw new IllegalArgumentException("</" + tag.group(2) + "> closes nothing");
            }
            if (open != null) {
                parts.put(open, before);
            }
            if (!closing && part.ordinal() != parts.size()) {
                throw new IllegalArgumentException(parts.containsKey(part) ? "<" + tag.group(2) + "> comes twice"
                        : "<" + Part.values()[parts.size()].tags.getFirst() + "> is expected, not <" + tag.group(2)
                                + ">");
            }
            open = closing ? null : part;
            from = tag.end();
        }
        String rest = text.substring(from).strip();
        if (open != null) {
            parts.put(open, rest);
        } else if (!rest.isEmpty()) {
            throw new IllegalArgumentException(parts.isEmpty() ? "no part of a joke"
                    : "text outside of the parts, at the end");
        }
        return checked(parts);
    }

    private static int behindThoughts(String written) {
        int close = written.lastIndexOf(Reasoned.CLOSE);
        return close < 0 ? 0 : close + Reasoned.CLOSE.length();
    }

    private static Joke checked(Map<Part, String> parts) {
        for (Part p : Part.values()) {
            if (parts.getOrDefault(p, "").isEmpty()) {
                throw new IllegalArgumentException("<" + p.tags.getFirst() + "> is "
                        + (parts.containsKey(p) ? "empty" : "missing"));
            }
        }
        Joke joke = new Joke(parts.get(Part.BUILDUP), parts.get(Part.ASSUMPTION), parts.get(Part.CONNECTOR),
                parts.get(Part.REINTERPRETATION), parts.get(Part.PUNCHLINE));
        String term = Same.text(joke.term());
        if (term.isEmpty() || !Same.text(joke.buildup).contains(term)) {
            throw new IllegalArgumentException("the connector is not in the build-up");
        }
        if (Same.text(joke.buildup).contains(Same.text(joke.punchline))) {
            throw new IllegalArgumentException("the build-up tells the punchline");
        }
        if (Same.text(joke.assumption).equals(Same.text(joke.reinterpretation))) {
            throw new IllegalArgumentException("the reinterpretation is the assumption");
        }
        return joke;
    }

    /// The connector's word or phrase, without its readings.
    String term() {
        return READINGS.split(connector, 2)[0].strip();
    }

    /// The joke as it is told.
    String told() {
        int last = buildup.codePointBefore(buildup.length());
        return buildup + (last < SCRIPTS_WITHOUT_BLANKS ? " " : "") + punchline;
    }

    /// How it was found, as thoughts before it.
    String thoughts() {
        return "Build-up: " + buildup + "\nAssumption: " + assumption + "\nConnector: " + connector
                + "\nReinterpretation: " + reinterpretation;
    }

    JsonObject json() {
        JsonObject o = new JsonObject();
        o.addProperty("buildup", buildup);
        o.addProperty("assumption", assumption);
        o.addProperty("connector", connector);
        o.addProperty("reinterpretation", reinterpretation);
        o.addProperty("punchline", punchline);
        return o;
    }
}
