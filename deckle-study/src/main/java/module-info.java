/// The parts of a language model at work on small numbers, and the proof that they equal PyTorch.
module dev.deckle.study {
    requires transitive dev.deckle.align;
    requires transitive com.google.gson;

    exports dev.deckle.explain;
    exports dev.deckle.explain.page;
    exports dev.deckle.explain.story;
    exports dev.deckle.mistakes;
    exports dev.deckle.parity;
}
