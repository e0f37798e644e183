package dev.deckle.align;

/// Token ids, and which of them are learned.
///
/// @param ids a prompt and its completion, or a conversation
/// @param counted whether a token is a completion's, as long as `ids`; the first of them predicts nothing and never
///     counts
record Sequence(int[] ids, boolean[] counted) {
    static Sequence of(int[] prompt, int[] completion) {
        int[] ids = new int[prompt.length + completion.length];
        boolean[] counted = new boolean[ids.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = i < prompt.length ? prompt[i] : completion[i - prompt.length];
            counted[i] = i >= Math.max(1, prompt.length);
        }
        return new Sequence(ids, counted);
    }

    int length() {
        return ids.length;
    }

    /// How many tokens are learned.
    int tokens() {
        int n = 0;
        for (boolean c : counted) {
            n += c ? 1 : 0;
        }
        return n;
    }
}
