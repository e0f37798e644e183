package dev.deckle.tokenizer;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.text.Normalizer.Form;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Supplier;

/// Text to token ids and back, as a `tokenizer.json` says.
///
/// **Goal.** The ids of Hugging Face's `tokenizers` for the same file and text, and the same text back.
///
/// **Structure.** Text goes through five stages, one file each. [AddedTokens] finds special tokens; a [Normalizer]
/// rewrites what lies between them; a [PreTokenizer] cuts it into pieces; a [Model] turns each into ids; a
/// [PostProcessor] puts special tokens around them. A [Decoder] leads back. Where text becomes bytes and the expression
/// for the pieces is a known one, as in GPT-2, Llama 3 and Qwen, a [PieceScanner] and [Bpe] take the middle on UTF-8
/// without an object per piece ([PieceEncoder]). A tokenizer is immutable and may be shared by threads: what an
/// encoding needs for itself (the memory of known pieces) is borrowed from a pool.
///
/// A tokenizer of bytes has no unknown token, and bytes that are not UTF-8 survive the round trip; others write U+FFFD
/// for them, and may lose text: what the normalizer rewrites and what is unknown does not come back.
///
/// **Rejected.** The library of Hugging Face behind JNI: 10 MB of native code per platform, and a panic in it ends the
/// JVM. `java.util.regex` for the pieces: five times slower than the scanners, and see [Regex]. Merging by a scan for
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
    private final TokenizerJson.Definition definition;
    private final String[] texts; // by id, null where an id has no token
    private final String[] decoded; // as the decoder takes them
    private final byte[][] bytes; // of each id if the decoder joins bytes, otherwise empty
    private final boolean[] special;
    private final Map<String, Integer> ids = new HashMap<>();
    private final AddedTokens added;
    private final AddedTokens none;
    private final Supplier<PieceEncoder> newEncoder;
    private final ConcurrentLinkedQueue<PieceEncoder> encoders = new ConcurrentLinkedQueue<>();

    Tokenizer(TokenizerFiles files) {
        this.files = files;
        definition = files.definition();
        AddedTokens.Rewriter normalizer = normalizer(definition.normalizer());
        Vocabulary vocabulary = definition.model().vocabulary();
        int size = definition.added().stream().mapToInt(t -> t.id() + 1).max().orElse(0);
        texts = Arrays.copyOf(vocabulary.tokens(), Math.max(size, vocabulary.size()));
        decoded = texts.clone();
        special = new boolean[texts.length];
        for (var token : definition.added()) {
            texts[token.id()] = token.content();
            special[token.id()] |= token.special();
            decoded[token.id()] = token.normalized() ? definition.normalizer().normalize(token.content())
                    : token.content();
        }
        bytes = new byte[definition.decoder() instanceof Decoder.ByteLevel ? texts.length : 0][];
        for (int id = 0; id < texts.length; id++) {
            if (texts[id] != null) {
                ids.put(texts[id], id);
            }
            if (id < bytes.length && decoded[id] != null) {
                bytes[id] = ByteAlphabet.spells(decoded[id]) ? ByteAlphabet.toBytes(decoded[id])
                        : Utf8.encode(decoded[id]);
            }
        }
        added = new AddedTokens(definition.added(), definition.splitSpecial(), normalizer);
        none = new AddedTokens(List.of(), false, normalizer);
        newEncoder = PieceEncoder.of(definition);
    }

    /// The normalizer on UTF-8. Text of bytes below CC, that is of characters below U+0300, is in NFC as it is.
    private static AddedTokens.Rewriter normalizer(Normalizer normalizer) {
        if (normalizer.equals(new Normalizer.Sequence(List.of()))) {
            return AddedTokens.Part::new;
        }
        boolean nfc = normalizer.equals(new Normalizer.Unicode(Form.NFC));
        return (text, from, end) -> {
            int i = nfc ? from : end;
            while (i < end && (text[i] & 0xFF) < 0xCC) {
                i++;
            }
            if (nfc && i == end) {
                return new AddedTokens.Part(text, from, end);
            }
            String original = Utf8.decode(text, from, end);
            byte[] normalized = Utf8.encode(normalizer.normalize(original));
            return new AddedTokens.Part(normalized, 0, normalized.length, from > 0 || normalizer.keepsStart(original));
        };
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

    /// The ids of text in UTF-8. A tokenizer of bytes encodes bytes that are not UTF-8 as they are.
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
        return definition.postProcessor().wrap(ids);
    }

    /// The ids of a text that is to go on: after what the tokenizer's template puts before a text, and without what it
    /// puts after one.
    public int[] begin(String text) {
        return definition.postProcessor().begin(encode(text));
    }

    /// The text of `ids`, special tokens included. Bytes that do not form UTF-8 become U+FFFD. An id without a token
    /// (models round their vocabulary up) is no text.
    public String decode(int... ids) {
        if (joinsBytes()) {
            byte[] all = decodeBytes(ids);
            return Utf8.decode(all, 0, all.length);
        }
        var stream = stream();
        var text = new StringBuilder();
        for (int id : ids) {
            text.append(stream.accept(id));
        }
        return text.append(stream.flush()).toString();
    }

    /// The bytes of `ids`. Of a tokenizer of bytes they are always those that were encoded; of others, the UTF-8 of the
    /// text.
    public byte[] decodeBytes(int... ids) {
        if (!joinsBytes()) {
            return Utf8.encode(decode(ids));
        }
        var all = new ByteArrayOutputStream(ids.length * 4);
        for (int id : ids) {
            all.writeBytes(id >= 0 && id < bytes.length && bytes[id] != null ? bytes[id] : NOTHING);
        }
        return all.toByteArray();
    }

    private boolean joinsBytes() {
        return definition.decoder() instanceof Decoder.ByteLevel;
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
        return definition;
    }

    Decoder decoder() {
        return definition.decoder();
    }

    /// The token of `id` as the decoder takes it, null if no token has it.
    String decoded(int id) {
        return id >= 0 && id < decoded.length ? decoded[id] : null;
    }

    private int[] encode(byte[] text, boolean recogniseAdded) {
        PieceEncoder pooled = encoders.poll();
        PieceEncoder encoder = pooled != null ? pooled : newEncoder.get();
        var out = new IntList();
        (recogniseAdded ? added : none).split(text, new AddedTokens.Sink() {
            @Override
            public void token(int id) {
                out.add(id);
            }

            @Override
            public void text(byte[] part, int from, int end, boolean first) {
                encoder.encode(part, from, end, first, out);
            }
        });
        encoders.add(encoder);
        return out.toArray();
    }
}
