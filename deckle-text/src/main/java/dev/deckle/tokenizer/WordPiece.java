package dev.deckle.tokenizer;

/// The model of BERT: takes the longest token that a word begins with, then the longest that its rest begins with, with
/// a prefix such as `##` before it, and so on (Schuster and Nakajima, 2012). A word in which that fails, or one that is
/// too long, is one unknown token.
///
/// One walk down a trie finds the longest token, so a word costs its length times that of the longest token at most.
final class WordPiece implements Model {
    private final Vocabulary vocabulary;
    private final String unknownToken;
    private final int maxChars;
    private final ByteTrie trie = new ByteTrie();
    private final int continued; // where in the trie the tokens lie that go on with a word

    WordPiece(Vocabulary vocabulary, String unknownToken, String prefix, int maxChars) {
        this.vocabulary = vocabulary;
        this.unknownToken = unknownToken;
        this.maxChars = maxChars;
        for (int id = 0; id < vocabulary.size(); id++) {
            if (vocabulary.token(id) != null) {
                trie.put(Utf8.encode(vocabulary.token(id)), id);
            }
        }
        int node = ByteTrie.ROOT;
        for (byte b : Utf8.encode(prefix)) {
            node = node == ByteTrie.NONE ? node : trie.child(node, b);
        }
        continued = node;
    }

    @Override
    public Vocabulary vocabulary() {
        return vocabulary;
    }

    @Override
    public Encoder encoder() {
        var memory = new PieceMemory();
        return (piece, out) -> memory.encode(piece, out, this::encode);
    }

    private void encode(String piece, IntList out) {
        var ids = new IntList();
        if (piece.codePointCount(0, piece.length()) <= maxChars && encode(Utf8.encode(piece), ids)) {
            out.addAll(ids.array(), 0, ids.size());
            return;
        }
        int unknown = vocabulary.id(unknownToken);
        if (unknown == Vocabulary.NONE) {
            throw Model.unknown(piece, "model.unk_token", unknownToken);
        }
        out.add(unknown);
    }

    private boolean encode(byte[] word, IntList ids) {
        for (int i = 0; i < word.length;) {
            int node = i == 0 ? ByteTrie.ROOT : continued;
            int longest = ByteTrie.NONE;
            int end = i;
            for (int j = i; node != ByteTrie.NONE && j < word.length;) {
                node = trie.child(node, word[j++]);
                if (node != ByteTrie.NONE && trie.number(node) != ByteTrie.NONE) {
                    longest = trie.number(node);
                    end = j;
                }
            }
            if (longest == ByteTrie.NONE) {
                return false;
            }
            ids.add(longest);
            i = end;
        }
        return true;
    }
}
