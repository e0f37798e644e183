package dev.deckle.distributed;

/// Another rank ended, so what this one waited for will not come.
public final class RankFailure extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int rank;
    private final String why;

    public RankFailure(int rank, String why) {
        super("rank " + rank + " ended: " + why);
        this.rank = rank;
        this.why = why;
    }

    /// The rank that ended.
    public int rank() {
        return rank;
    }

    /// The reason that it gave.
    public String why() {
        return why;
    }
}
