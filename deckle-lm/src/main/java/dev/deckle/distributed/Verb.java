package dev.deckle.distributed;

/// What ranks do together.
public enum Verb {
    ALL_REDUCE("all_reduce"),
    REDUCE_SCATTER("reduce_scatter"),
    ALL_GATHER("all_gather"),
    BROADCAST("broadcast"),
    BARRIER("barrier");

    private final String label;

    Verb(String label) {
        this.label = label;
    }

    /// Its name in the field.
    public String label() {
        return label;
    }
}
