package dev.deckle.memory;

/// A block of native memory, 64-byte aligned, with the lifetime of whoever made it. Tensors are views of one.
///
/// The address is only handed out while the block is alive, so that a tensor used after its step is an error that says
/// so, never stale numbers.
public final class Storage {
    /// Whoever made a block, and can end its life.
    sealed interface Owner permits Workspace, ModelMemory, CallerMemory, MovableMemory {
        /// Why the owner's blocks can no longer be read, or an empty string while they can.
        String ended();

        /// The block's memory may serve again.
        void reclaim(Storage storage);

        /// What the addresses of its blocks count from.
        default long base() {
            return 0;
        }
    }

    private final Owner owner;
    private final long address;
    private final long bytes;
    private int uses;
    private boolean needed;
    private String released = "";

    Storage(Owner owner, long address, long bytes) {
        this.owner = owner;
        this.address = address;
        this.bytes = bytes;
    }

    /// Where the block begins.
    ///
    /// @throws IllegalStateException if its lifetime is over
    public long address() {
        String why = released.isEmpty() ? owner.ended() : released;
        if (!why.isEmpty()) {
            throw new IllegalStateException(why);
        }
        return owner.base() + address;
    }

    /// The address without the check: for the owner and for messages.
    long rawAddress() {
        return address;
    }

    public long bytes() {
        return bytes;
    }

    /// Whether the block lives only until its [Workspace] closes.
    public boolean temporary() {
        return owner instanceof Workspace;
    }

    /// One more holder that will [#release(String)] the block: a node of the recorded graph, or a pending gradient.
    public void retain() {
        uses++;
    }

    /// How many holders there are.
    public int uses() {
        return uses;
    }

    /// Somebody will read the block whose turn comes later: the gradient of an operation.
    public void need() {
        needed = true;
    }

    /// Whoever made the block reads it no more. A block of a workspace serves again at once if nobody needs it, and
    /// `why` is what a later reader is told.
    public void giveUp(String why) {
        if (temporary() && !needed && released.isEmpty()) {
            released = why;
            owner.reclaim(this);
        }
    }

    /// One holder less. When the last one goes, a block of a workspace serves again at once and `why` is what a later
    /// reader is told; blocks of the other lifetimes stay.
    public void release(String why) {
        if (--uses == 0 && temporary() && released.isEmpty()) {
            released = why;
            owner.reclaim(this);
        }
    }
}
