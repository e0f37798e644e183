package dev.deckle.explain.story;

import dev.deckle.explain.Part;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// Everything that can be explained, in the order of reading.
public final class Parts {
    private static final List<Part> ALL = Stream
            .of(FeedForwardStories.parts(), SoftmaxStories.parts(), AttentionStories.parts(), PositionStories.parts(),
                    NormStories.parts(), LossStories.parts(), OptimStories.parts(), ZeroStories.parts(),
                    DecodingStories.parts(), AlignStories.parts(), RandomStories.parts(), MedianStories.parts(),
                    NotebookStories.parts())
            .flatMap(List::stream)
            .toList();

    private Parts() {}

    public static List<Part> all() {
        return ALL;
    }

    public static Optional<Part> named(String name) {
        return ALL.stream().filter(p -> p.name().equals(name)).findFirst();
    }
}
