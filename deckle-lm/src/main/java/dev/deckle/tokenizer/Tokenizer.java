package dev.deckle.tokenizer;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentLinkedQueue;

/// Text to token ids and back: byte-level BPE, as GPT-2 and Llama 3 use it.
///
/// **Goal.** The ids of Hugging Face's `tokenizers` for the same `tokenizer.json`, and every text back as it was. Since
/// the alphabet is the 256 bytes there is no unknown token, and bytes that are not UTF-8 survive the round trip too.
///
/// **Structure.** Text goes through three stages: [AddedTokens] finds special tokens; a [PreTokenizer] cuts what lies
/// between them into pieces; [Bpe] merges the bytes of each piece by rank. All three work on UTF-8 bytes and none makes
/// an object per piece. A tokenizer is immutable and may be shared by threads: what an encoding needs for itself
/// (the memory of known pieces) is borrowed from a pool.
///
/// **Rejected.** `java.util.regex` for the pieces: five times slower than the scanners. Merging by a scan for
/// the best pair: quadratic in the length of a piece, which an attacker chooses. A tokenizer built from fields and one
/// built from a file as two ways: [BpeTrainer] writes the file's JSON and reads it back, so what is saved is what was
/// used.
///
/// ```java
/// Tokenizer t = Tokenizer.load(Path.of("model"));
/// int[] ids = t.encode("Deckle edge");
/// String text = t.decode(ids);
/// ```
public final class Tokenizer {
    private static final byte[] NOTHING = {};

    private final TokenizerFiles files;
    private final byte[][] bytes; // of each id, null where there is none
    private final String[] texts;
    private final boolean[] special;
    private final Map<String, Integer> ids = new HashMap<>();
    private final AddedTokens added;
    private final PreTokenizer pieces;
    private final Bpe bpe;
    private final int[] before;
    private final int[] after;
    private final ConcurrentLinkedQueue<Bpe.Encoder> encoders = new ConcurrentLinkedQueue<>();

    Tokenizer(TokenizerFiles files) {
        this.files = files;
        var definition = files.definition();
        int size = definition.added().stream().mapToInt(t -> t.id() + 1).max().orElse(0);
        texts = Arrays.copyOf(definition.vocabulary(), Math.max(size, definition.vocabulary().length));
        special = new boolean[texts.length];
        for (var token : definition.added()) {
            texts[token.id()] = token.content();
            special[token.id()] = token.special();
        }
        bytes = new byte[texts.length][];
        for (int id = 0; id < texts.length; id++) {
            if (texts[id] != null) {
                ids.put(texts[id], id);
                bytes[id] = ByteAlphabet.spells(texts[id]) ? ByteAlphabet.toBytes(texts[id]) : Utf8.encode(texts[id]);
            }
        }
        added = new AddedTokens(definition.added());
        pieces = definition.preTokenizer();
        bpe = new Bpe(definition);
        before = definition.before();
        after = definition.after();
    }

    /// Reads `tokenizer.json`, given itself or by its folder, and `tokenizer_config.json` beside it if there is one.
    ///
    /// @throws IOException if a file cannot be read, is broken, or asks for what is not supported; the message names
    ///     the file and the key
    public static Tokenizer load(Path fileOrFolder) throws IOException {
        return new Tokenizer(TokenizerFiles.read(fileOrFolder));
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json` into `folder` for this library and for `transformers`. A
    /// tokenizer that was loaded is written as it was.
    public void save(Path folder) throws IOException {
        files.write(folder);
    }

    /// This tokenizer with another `model_max_length`: the context of the model that it belongs to.
    public Tokenizer withMaxLength(int tokens) {
        return new Tokenizer(files.withMaxLength(tokens));
    }

    /// One more than the highest id: the rows that an embedding needs.
    public int vocabularySize() {
        return texts.length;
    }

    /// The ids of `text`. Special tokens written in it are recognised; none is added. A surrogate without its partner
    /// is encoded as U+FFFD.
    public int[] encode(String text) {
        return encode(Utf8.encode(text), true);
    }

    /// The ids of text in UTF-8; bytes that are not UTF-8 are encoded as they are.
    public int[] encode(byte[] text) {
        return encode(text, true);
    }

    /// The ids of text that may not hold special tokens: what looks like one is encoded as the characters it is made
    /// of. For text from outside, such as a corpus, which must not be able to end a document.
    public int[] encodeOrdinary(String text) {
        return encode(Utf8.encode(text), false);
    }

    /// As [#encodeOrdinary(String)], of UTF-8.
    public int[] encodeOrdinary(byte[] text) {
        return encode(text, false);
    }

    /// `ids` between the special tokens that the tokenizer's template puts around a text, such as `<|begin_of_text|>`;
    /// `ids` itself where there is no template.
    public int[] wrap(int[] ids) {
        var out = new IntList();
        out.addAll(before, 0, before.length);
        out.addAll(ids, 0, ids.length);
        out.addAll(after, 0, after.length);
        return out.toArray();
    }

    /// The text of `ids`, special tokens included. Bytes that do not form UTF-8 become U+FFFD. An id without a token
    /// (models round their vocabulary up) is no text.
    public String decode(int... ids) {
        byte[] all = decodeBytes(ids);
        var text = new StringBuilder(all.length);
        Utf8.decode(all, 0, all.length, text);
        return text.toString();
    }

    /// The bytes of `ids`, which are always those that were encoded.
    public byte[] decodeBytes(int... ids) {
        var all = new ByteArrayOutputStream(ids.length * 4);
        for (int id : ids) {
            all.writeBytes(bytes(id));
        }
        return all.toByteArray();
    }

    /// Decodes ids one at a time.
    public StreamDecoder stream() {
        return new StreamDecoder(this);
    }

    /// The id of a token as the vocabulary writes it, for example `<|endoftext|>` or `Ġthe`.
    public OptionalInt id(String token) {
        Integer id = ids.get(token);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }

    /// The token of `id` as the vocabulary writes it.
    public Optional<String> token(int id) {
        return id >= 0 && id < texts.length ? Optional.ofNullable(texts[id]) : Optional.empty();
    }

    /// Whether `id` is a special token: a mark of structure, not text.
    public boolean isSpecial(int id) {
        return id >= 0 && id < special.length && special[id];
    }

    /// The ids of all special tokens, ascending.
    public List<Integer> specialTokens() {
        var all = new ArrayList<Integer>();
        for (int id = 0; id < special.length; id++) {
            if (special[id]) {
                all.add(id);
            }
        }
        return all;
    }

    /// The token that ends a text: `eos_token` of `tokenizer_config.json`, or `<|endoftext|>` if the vocabulary has it.
    public OptionalInt endOfText() {
        OptionalInt configured = files.configToken("eos_token").map(this::id).orElse(OptionalInt.empty());
        return configured.isPresent() ? configured : id("<|endoftext|>");
    }

    /// The token that begins a text, if the tokenizer has one: `bos_token` of `tokenizer_config.json`.
    public OptionalInt beginOfText() {
        return files.configToken("bos_token").map(this::id).orElse(OptionalInt.empty());
    }

    /// A hash of all that decides about ids; equal tokenizers have equal hashes, on every machine.
    public String fingerprint() {
        return files.fingerprint();
    }

    TokenizerJson.Definition definition() {
        return files.definition();
    }

    /// The bytes that `id` stands for; none if no token has it.
    byte[] bytes(int id) {
        return id >= 0 && id < bytes.length && bytes[id] != null ? bytes[id] : NOTHING;
    }

    private int[] encode(byte[] text, boolean recogniseAdded) {
        Bpe.Encoder pooled = encoders.poll();
        Bpe.Encoder encoder = pooled != null ? pooled : bpe.new Encoder();
        var out = new IntList();
        var sink = new AddedTokens.Sink() {
            @Override
            public void token(int id) {
                out.add(id);
            }

            @Override
            public void text(int from, int end) {
                for (int i = from; i < end;) {
                    int pieceEnd = pieces.pieceEnd(text, i, end);
                    encoder.encode(text, i, pieceEnd, out);
                    i = pieceEnd;
                }
            }
        };
        if (recogniseAdded) {
            added.split(text, 0, text.length, sink);
        } else {
            sink.text(0, text.length);
        }
        encoders.add(encoder);
        return out.toArray();
    }
}
