package dev.deckle.lm;

import dev.deckle.chat.ChatTemplate;
import dev.deckle.generate.GenerationConfig;
import dev.deckle.generate.Sampler;
import dev.deckle.generate.TextGenerator;
import dev.deckle.generate.TextStream;
import dev.deckle.models.Adapter;
import dev.deckle.models.CausalLm;
import dev.deckle.models.Models;
import dev.deckle.nn.KvCache;
import dev.deckle.nn.PagedMemory;
import dev.deckle.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/// A model with its tokenizer, its settings and its chat template: a folder as it comes from Hugging Face.
///
/// ```java
/// try (Model model = Model.load(Path.of("Llama-3.2-1B-Instruct"))) {
///     System.out.println(model.generate("Paper is made of").text());
/// }
/// ```
/// Models know nothing of each other: a program may have several. One model may be used by several threads, each with
/// answers of its own.
public final class Model implements AutoCloseable {
    private static final int MAX_NEW_TOKENS = 256;

    private final Path words; // where the tokenizer and the chat template are
    private final CausalLm network;
    private final Tokenizer tokenizer;
    private final GenerationConfig config;

    private Model(Path words, CausalLm network, Tokenizer tokenizer, GenerationConfig config) {
        this.words = words;
        this.network = network;
        this.tokenizer = tokenizer;
        this.config = config;
    }

    /// Opens a folder with `config.json`, weights and `tokenizer.json`. Weights are mapped, so this takes little time
    /// and memory. Of an adapter's folder, what is not there is taken from the model below.
    ///
    /// @throws IOException in one line naming the file, where one is missing or broken
    /// @throws IllegalArgumentException in one line naming the file and the key, where they do not fit each other
    public static Model load(Path folder) throws IOException {
        CausalLm network = Models.open(folder);
        try {
            Path words = Adapter.holder(folder, "tokenizer.json");
            Tokenizer tokenizer = Tokenizer.load(words);
            if (tokenizer.vocabularySize() > network.vocabSize()) {
                throw new IllegalArgumentException(folder + ": the tokenizer has " + tokenizer.vocabularySize()
                        + " tokens, the model's embedding only " + network.vocabSize());
            }
            return new Model(words, network, tokenizer, GenerationConfig.read(folder));
        } catch (IOException | RuntimeException | Error e) {
            network.close();
            throw e;
        }
    }

    /// What computes: ids to logits.
    public CausalLm network() {
        return network;
    }

    public Tokenizer tokenizer() {
        return tokenizer;
    }

    /// How the model wants to be continued.
    public GenerationConfig generationConfig() {
        return config;
    }

    /// Those of `generation_config.json`; where it says nothing, the likeliest token, at most 256 of them, and another
    /// seed each time. An answer is read while it is made, so `num_beams` is not followed: for beams there is
    /// [TextGenerator#beams].
    public Settings settings() {
        boolean whole = config.max_new_tokens().isEmpty() && config.max_length().isPresent();
        return new Settings(config.sampler(Sampler.greedy()),
                whole ? Integer.MAX_VALUE : config.maxNewTokens(0, MAX_NEW_TOKENS),
                whole ? config.max_length().get() : Integer.MAX_VALUE, config.min_new_tokens(), config.stop_strings(),
                System.nanoTime(), KvCache.Kind.CONTIGUOUS);
    }

    /// Continues a text.
    public Answer generate(String prompt) {
        return generate(prompt, settings());
    }

    /// Continues a text, before which comes what the tokenizer puts before texts.
    ///
    /// @throws IllegalArgumentException if it is empty, or longer than the model's positions
    public Answer generate(String prompt, Settings settings) {
        return generate(tokenizer.begin(prompt), settings);
    }

    /// Continues token ids, to which nothing is added.
    public Answer generate(int[] prompt, Settings settings) {
        return answer(generator(settings), prompt, settings, _ -> {});
    }

    /// The same with a memory for keys and values that outlives the answer.
    Answer generate(int[] prompt, Settings settings, PagedMemory memory, Consumer<String> ended) {
        return answer(generator(settings).withMemory(memory), prompt, settings, ended);
    }

    private Answer answer(TextGenerator generator, int[] prompt, Settings settings, Consumer<String> ended) {
        TextStream text = new TextStream(tokenizer, settings.stop());
        text.begin(prompt);
        if (prompt.length >= settings.maxLength()) {
            throw new IllegalArgumentException(
                    "the prompt has " + prompt.length + " tokens, and with those that follow "
                            + "there may be " + settings.maxLength() + " (max_length)");
        }
        int most = Math.min(settings.maxNewTokens(), settings.maxLength() - prompt.length);
        return new Answer(generator.decode(List.of(prompt), most, settings.seed()), text, prompt.length, ended);
    }

    private TextGenerator generator(Settings settings) {
        return new TextGenerator(network, settings.sampler(), config.endTokens(), settings.kvCache())
                .withMinNewTokens(settings.minNewTokens());
    }

    /// Begins a conversation with the model's own settings.
    ///
    /// @throws IOException if the model has no chat template, or it is broken
    public Chat chat() throws IOException {
        return chat(settings());
    }

    /// Begins a conversation.
    public Chat chat(Settings settings) throws IOException {
        return new Chat(this, ChatTemplate.load(words), settings);
    }

    /// Gives the memory back, when the steps that run have ended. Answers that are still being read then fail.
    @Override
    public void close() {
        network.close();
    }
}
