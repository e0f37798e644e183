/// Language models from text to text: tokenizers and training data.
module dev.deckle.lm {
    requires transitive dev.deckle.tensor;
    requires com.google.gson;

    exports dev.deckle.tokenizer;
    exports dev.deckle.data;
}
