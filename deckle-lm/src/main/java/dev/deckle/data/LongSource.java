package dev.deckle.data;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// Numbers that can be read again, as often as it takes, and in any parts: what an algorithm needs that looks at more
/// numbers than its memory holds. Threads may share a source.
public interface LongSource {
    /// How a number stands in the memory that [#read] fills: little endian, whatever the machine.
    ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// What messages call it.
    String name();

    /// How many numbers there are.
    long count();

    /// Fills a segment with the numbers `first, first + 1, ...`, as many as it has room for.
    ///
    /// @param first together with the segment's length within [#count]
    /// @param into native memory, a multiple of 8 bytes
    /// @throws IOException with the source's name if they cannot be read any more
    void read(long first, MemorySegment into) throws IOException;

    /// The numbers of an array, which stays the caller's.
    static LongSource of(long... values) {
        return new LongSource() {
            @Override
            public String name() {
                return "an array";
            }

            @Override
            public long count() {
                return values.length;
            }

            @Override
            public void read(long first, MemorySegment into) {
                int n = Math.toIntExact(into.byteSize() / Long.BYTES);
                MemorySegment.copy(values, Math.toIntExact(first), into, LONG, 0, n);
            }
        };
    }
}
