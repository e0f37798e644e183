/// Language models: their training, and what a run leaves behind.
module dev.deckle.lm {
    requires transitive dev.deckle.tensor;
    requires com.google.gson;

    exports dev.deckle.train;
}
