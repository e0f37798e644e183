package dev.deckle.tokenizer;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/// The ids of the pieces that an encoder has met: text repeats its words, so nearly all are found. It is bounded by
/// forgetting everything when it is full; what is common is soon back.
final class PieceMemory {
    private static final int MAX_PIECES = 1 << 16;
    private static final int MAX_LENGTH = 48; // longer pieces are rarely met twice

    private final Map<String, int[]> known = new HashMap<>();

    /// Appends the ids of `piece`, which `encoder` is asked for if it is new.
    void encode(String piece, IntList out, Model.Encoder encoder) {
        if (piece.length() > MAX_LENGTH) {
            encoder.encode(piece, out);
            return;
        }
        int[] ids = known.get(piece);
        if (ids == null) {
            int start = out.size();
            encoder.encode(piece, out);
            if (known.size() == MAX_PIECES) {
                known.clear();
            }
            known.put(piece, Arrays.copyOfRange(out.array(), start, out.size()));
            return;
        }
        out.addAll(ids, 0, ids.length);
    }
}
