package dev.deckle.memory;

/// Memory that is not always there, nor always in the same place: the parameters of a layer that are gathered from
/// other ranks when it is their turn and let go afterwards. Tensors on it stay valid objects throughout; reading one
/// while its memory is away is an error that says so.
///
/// It owns no bytes: whoever has them says where they are.
public final class MovableMemory implements Storage.Owner {
    private final String name;
    private volatile long base;

    /// @param name of what lives there, for messages
    public MovableMemory(String name) {
        this.name = name;
    }

    /// The block of `bytes` at an offset; where that is follows from [#placeAt(long)].
    public Storage part(long offset, long bytes) {
        return new Storage(this, offset, bytes);
    }

    /// From now on it is at `address`.
    public void placeAt(long address) {
        base = address;
    }

    /// From now on it is away.
    public void remove() {
        base = 0;
    }

    public boolean present() {
        return base != 0;
    }

    @Override
    public long base() {
        return base;
    }

    @Override
    public String ended() {
        return base != 0 ? "" : name + " is not gathered at the moment";
    }

    @Override
    public void reclaim(Storage storage) {
        throw new AssertionError("whoever placed it takes it away");
    }
}
