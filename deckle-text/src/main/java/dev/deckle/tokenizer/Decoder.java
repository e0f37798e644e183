package dev.deckle.tokenizer;

import java.io.ByteArrayOutputStream;
import java.util.List;

/// The way back: makes text of tokens. A decoder is a chain of stages; each rewrites a list of tokens, and the last
/// list, joined, is the text.
///
/// Each stage is written once, for tokens that come one by one, so that [StreamDecoder] gives what decoding the whole
/// gives. A stage that needs what has not come yet waits for it: a byte for its character, a CTC token for one that
/// differs. [Fuse] and [ByteLevel] make one token of all, which then comes in parts: a stage behind them works on
/// parts too where it can (taking away, replacing a string), and otherwise waits for the end.
sealed interface Decoder {
    /// Takes the tokens that a stage makes.
    interface Sink {
        void token(String token);

        /// No more tokens come.
        void end();
    }

    /// A new run of this stage.
    ///
    /// @param parts whether what comes are the parts of a single token
    Sink run(Sink out, boolean parts);

    /// Whether what goes out are the parts of a single token.
    default boolean fuses() {
        return false;
    }

    static Decoder read(Fields stage) {
        return switch (stage.string("type")) {
            case "ByteLevel" -> new ByteLevel();
            case "WordPiece" -> new WordPieces(stage.string("prefix"), stage.flag("cleanup"));
            case "Metaspace" -> {
                boolean never = !stage.flag("add_prefix_space", true)
                        || stage.optionalString("prepend_scheme").orElse("always").equals("never");
                yield new Metaspace(Character.toString(stage.character("replacement")), !never);
            }
            case "BPEDecoder" -> new EndOfWord(stage.string("suffix"));
            case "CTC" -> new Ctc(stage.string("pad_token"), stage.string("word_delimiter_token"),
                    stage.flag("cleanup"));
            case "Fuse" -> new Fuse();
            case "Strip" -> new Strip(stage.character("content"), stage.count("start", 0), stage.count("stop", 0));
            case "Replace" -> new Replace(TextPattern.read(stage, "pattern"), stage.string("content"));
            case "ByteFallback" -> new ByteFallback();
            case "Sequence" -> new Sequence(stage.list("decoders").stream().map(Decoder::read).toList());
            default -> throw stage.wrong("type", "ByteLevel, WordPiece, Metaspace, BPEDecoder, CTC, Fuse, Strip, "
                    + "Replace, ByteFallback or Sequence");
        };
    }

    /// A stage that rewrites each token by itself.
    abstract class EachToken implements Sink {
        private final Sink out;

        EachToken(Sink out) {
            this.out = out;
        }

        abstract String rewrite(String token);

        @Override
        public void token(String token) {
            out.token(rewrite(token));
        }

        @Override
        public void end() {
            out.end();
        }
    }

    /// A stage that needs its token whole, behind one that fuses: collects the parts.
    private static Sink whole(Sink stage, boolean parts) {
        if (!parts) {
            return stage;
        }
        var all = new StringBuilder();
        return new Sink() {
            @Override
            public void token(String token) {
                all.append(token);
            }

            @Override
            public void end() {
                stage.token(all.toString());
                stage.end();
            }
        };
    }

    /// Without a decoder, tokens have spaces between them.
    record Spaces() implements Decoder {
        @Override
        public Sink run(Sink out, boolean parts) {
            return new EachToken(out) {
                private boolean first = true;

                @Override
                String rewrite(String token) {
                    String text = first || parts ? token : " " + token;
                    first = false;
                    return text;
                }
            };
        }
    }

    /// Bytes in [ByteAlphabet] to text; a token with other characters is text already.
    record ByteLevel() implements Decoder {
        @Override
        public boolean fuses() {
            return true;
        }

        @Override
        public Sink run(Sink out, boolean parts) {
            var bytes = new Utf8.Stream();
            return whole(new Sink() {
                @Override
                public void token(String token) {
                    out.token(bytes.accept(ByteAlphabet.spells(token) ? ByteAlphabet.toBytes(token)
                            : Utf8.encode(token)));
                }

                @Override
                public void end() {
                    out.token(bytes.flush());
                    out.end();
                }
            }, parts);
        }
    }

    /// BERT's: a token with the prefix goes on with the word before it, others have a space before them.
    record WordPieces(String prefix, boolean cleanup) implements Decoder {
        @Override
        public Sink run(Sink out, boolean parts) {
            return whole(new EachToken(out) {
                private boolean first = true;

                @Override
                String rewrite(String token) {
                    String text = first ? token
                            : token.startsWith(prefix) ? token.substring(prefix.length()) : " " + token;
                    first = false;
                    return cleanup ? clean(text) : text;
                }
            }, parts);
        }
    }

    /// `▁` to a space; at the beginning, if one was put there, to nothing.
    record Metaspace(String replacement, boolean prepended) implements Decoder {
        @Override
        public Sink run(Sink out, boolean parts) {
            return new EachToken(out) {
                private boolean first = prepended;

                @Override
                String rewrite(String token) {
                    String text = token.replace(replacement, first ? "" : " ");
                    first &= parts; // the parts of the first token are all first
                    return text;
                }
            };
        }
    }

    /// The mark of the end of a word to a space, which the last token does not get.
    record EndOfWord(String suffix) implements Decoder {
        @Override
        public Sink run(Sink out, boolean parts) {
            return whole(new Sink() {
                private String waiting;

                @Override
                public void token(String token) {
                    if (waiting != null) {
                        out.token(waiting.replace(suffix, " "));
                    }
                    waiting = token;
                }

                @Override
                public void end() {
                    if (waiting != null) {
                        out.token(waiting.replace(suffix, ""));
                    }
                    out.end();
                }
            }, parts);
        }
    }

    /// Speech (Graves et al., 2006): a token that repeats the one before it and the padding say nothing.
    record Ctc(String pad, String delimiter, boolean cleanup) implements Decoder {
        @Override
        public Sink run(Sink out, boolean parts) {
            return whole(new Sink() {
                private String previous;

                @Override
                public void token(String token) {
                    if (!token.equals(previous)) {
                        previous = token;
                        String text = token.replace(pad, "");
                        text = cleanup ? clean(text).replace(delimiter, " ") : text;
                        if (!text.isEmpty()) {
                            out.token(text);
                        }
                    }
                }

                @Override
                public void end() {
                    out.end();
                }
            }, parts);
        }
    }

    /// One token of all.
    record Fuse() implements Decoder {
        @Override
        public boolean fuses() {
            return true;
        }

        @Override
        public Sink run(Sink out, boolean parts) {
            return out;
        }
    }

    /// Takes a character away at the ends of each token, up to `start` times and up to `stop` times.
    record Strip(int content, int start, int stop) implements Decoder {
        @Override
        public Sink run(Sink out, boolean parts) {
            if (parts && stop == 0) {
                return new EachToken(out) {
                    private int left = start;

                    @Override
                    String rewrite(String part) {
                        int from = leading(part, left);
                        left = from < part.length() ? 0 : left - part.codePointCount(0, from);
                        return part.substring(from);
                    }
                };
            }
            return whole(new EachToken(out) {
                @Override
                String rewrite(String token) {
                    int from = leading(token, start);
                    int end = token.length();
                    for (int n = 0; n < stop && end > from && token.codePointBefore(end) == content; n++) {
                        end -= Character.charCount(content);
                    }
                    return token.substring(from, end);
                }
            }, parts);
        }

        private int leading(String token, int most) {
            int from = 0;
            for (int n = 0; n < most && from < token.length() && token.codePointAt(from) == content; n++) {
                from += Character.charCount(content);
            }
            return from;
        }
    }

    record Replace(TextPattern pattern, String content) implements Decoder {
        @Override
        public Sink run(Sink out, boolean parts) {
            if (parts && pattern instanceof TextPattern.Literal(String literal) && literal.length() == 1) {
                return each(out); // a character is in one part
            }
            return whole(each(out), parts);
        }

        private Sink each(Sink out) {
            return new EachToken(out) {
                @Override
                String rewrite(String token) {
                    return pattern.replace(token, content);
                }
            };
        }
    }

    /// `<0xE2>` to a byte. The bytes side by side are a text if they are UTF-8, otherwise each is U+FFFD.
    record ByteFallback() implements Decoder {
        @Override
        public Sink run(Sink out, boolean parts) {
            var bytes = new ByteArrayOutputStream();
            return whole(new Sink() {
                @Override
                public void token(String token) {
                    int value = value(token);
                    if (value >= 0) {
                        bytes.write(value);
                    } else {
                        flush();
                        out.token(token);
                    }
                }

                @Override
                public void end() {
                    flush();
                    out.end();
                }

                private void flush() {
                    if (bytes.size() > 0) {
                        byte[] all = bytes.toByteArray();
                        if (Utf8.isValid(all)) {
                            out.token(Utf8.decode(all, 0, all.length));
                        } else {
                            for (int i = 0; i < all.length; i++) {
                                out.token(String.valueOf(Utf8.REPLACEMENT));
                            }
                        }
                        bytes.reset();
                    }
                }
            }, parts);
        }

        private static int value(String token) {
            if (token.length() != 6 || !token.startsWith("<0x") || token.charAt(5) != '>') {
                return -1;
            }
            int high = token.charAt(3) < 128 ? Character.digit(token.charAt(3), 16) : -1;
            int low = token.charAt(4) < 128 ? Character.digit(token.charAt(4), 16) : -1;
            return high < 0 || low < 0 ? -1 : high << 4 | low;
        }
    }

    record Sequence(List<Decoder> stages) implements Decoder {
        @Override
        public boolean fuses() {
            return stages.stream().anyMatch(Decoder::fuses);
        }

        @Override
        public Sink run(Sink out, boolean parts) {
            boolean[] fused = new boolean[stages.size()];
            boolean in = parts;
            for (int i = 0; i < fused.length; i++) {
                fused[i] = in;
                in |= stages.get(i).fuses();
            }
            Sink next = out;
            for (int i = fused.length - 1; i >= 0; i--) {
                next = stages.get(i).run(next, fused[i]);
            }
            return next;
        }
    }

    /// English without the spaces that cutting into words has made.
    private static String clean(String text) {
        return text.replace(" .", ".").replace(" ?", "?").replace(" !", "!").replace(" ,", ",").replace(" ' ", "'")
                .replace(" n't", "n't").replace(" 'm", "'m").replace(" do not", " don't").replace(" 's", "'s")
                .replace(" 've", "'ve").replace(" 're", "'re");
    }
}
