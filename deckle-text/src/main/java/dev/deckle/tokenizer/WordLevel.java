package dev.deckle.tokenizer;

/// The model that takes a piece whole: it is a token, or unknown.
record WordLevel(Vocabulary vocabulary, String unknownToken) implements Model {
    @Override
    public Encoder encoder() {
        return (piece, out) -> {
            int id = vocabulary.id(piece);
            if (id == Vocabulary.NONE) {
                id = vocabulary.id(unknownToken);
            }
            if (id == Vocabulary.NONE) {
                throw Model.unknown(piece, "model.unk_token", unknownToken);
            }
            out.add(id);
        };
    }
}
