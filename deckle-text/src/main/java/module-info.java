/// What a model reads and writes: tokenizers, chat templates, conversations.
module dev.deckle.text {
    requires dev.deckle.tensor; // for `io` alone: how an error quotes what a file says
    requires transitive com.google.gson;

    exports dev.deckle.chat;
    exports dev.deckle.jinja;
    exports dev.deckle.json to dev.deckle.lm, dev.deckle.align;
    exports dev.deckle.tokenizer;
}
