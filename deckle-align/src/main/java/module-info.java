/// From a trained model to a policy: alignment, the rewards it follows, and the data for it.
module dev.deckle.align {
    requires transitive dev.deckle.lm;
    requires java.compiler; // for rewards in a source file
    requires java.net.http; // endpoints that write data; and for rewards that ask a server

    exports dev.deckle.align;
    exports dev.deckle.reward;
    exports dev.deckle.synth;

    opens dev.deckle.align to com.google.gson;
}
