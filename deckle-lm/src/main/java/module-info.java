/// What a language model is made of, and how it is trained and run.
module dev.deckle.lm {
    requires transitive dev.deckle.tensor;
    requires transitive dev.deckle.text;
    requires transitive com.google.gson;

    exports dev.deckle.data;
    exports dev.deckle.distributed;
    exports dev.deckle.generate;
    exports dev.deckle.lm;
    exports dev.deckle.models;
    exports dev.deckle.nn;
    exports dev.deckle.optim;
    exports dev.deckle.train;
    exports dev.deckle.zero;

    opens dev.deckle.train to com.google.gson;
}
