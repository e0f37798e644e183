package dev.deckle.zero;

import dev.deckle.distributed.Communicator;
import dev.deckle.tensor.DType;
import dev.deckle.tensor.Shape;
import dev.deckle.tensor.Tensor;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The whole of parameters and optimizer state, one after another: one layer's are in memory at a time. Every rank asks
/// for the same names in the same order.
public final class Gathered implements AutoCloseable {
    private final Map<String, Partition.Piece> pieces;
    private final Communicator communicator;
    private final Buffers buffers = new Buffers();
    private final List<Buffers.Buffer> taken = new ArrayList<>();
    private final Map<Region, Map<Region.Kind, Flat>> here = new HashMap<>();
    private Unit unit; // whose state is here

    Gathered(Map<String, Partition.Piece> pieces, Communicator communicator) {
        this.pieces = pieces;
        this.communicator = communicator;
    }

    public Shape shape(String name) {
        return pieces.get(name).slot().parameter().shape();
    }

    public DType dtype(String name) {
        Partition.Piece p = pieces.get(name);
        return p.kind() == Region.Kind.VALUES ? p.region().dtype() : DType.F32;
    }

    /// One of them, valid until the next is asked for.
    public Tensor of(String name) {
        Partition.Piece p = pieces.get(name);
        if (unit != p.unit()) {
            letGo();
            unit = p.unit();
        }
        return here.computeIfAbsent(p.region(), _ -> new EnumMap<>(Region.Kind.class))
                .computeIfAbsent(p.kind(), k -> p.region().whole(k, communicator, buffers, taken::add))
                .part(p.slot().range(), shape(name));
    }

    private void letGo() {
        here.clear();
        taken.forEach(buffers::give);
        taken.clear();
    }

    @Override
    public void close() {
        letGo();
        buffers.close();
    }
}
