package dev.deckle.train;

import dev.deckle.distributed.Communicator;
import dev.deckle.distributed.RankFailure;
import dev.deckle.distributed.ThreadRanks;
import dev.deckle.distributed.Timeline;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.stream.IntStream;

/// Where the ranks of a run are: threads of this process, or one of them is this process and the others are elsewhere.
public interface Launch {
    /// How many ranks there are in all.
    int worldSize();

    /// Those of this process.
    List<Integer> ranks();

    /// What the ranks of other processes are reached by, before they train.
    Optional<Communicator> others();

    /// Runs `body` once for each rank of this process, with what it reaches the others by and when it did what.
    ///
    /// @param traced whether timelines are kept
    void run(boolean traced, BiConsumer<Communicator, Timeline> body);

    /// All as threads of this process.
    static Launch threads(int worldSize) {
        return new Launch() {
            @Override
            public int worldSize() {
                return worldSize;
            }

            @Override
            public List<Integer> ranks() {
                return IntStream.range(0, worldSize).boxed().toList();
            }

            @Override
            public Optional<Communicator> others() {
                return Optional.empty();
            }

            @Override
            public void run(boolean traced, BiConsumer<Communicator, Timeline> body) {
                List<Timeline> timelines =
                        ranks().stream().map(_ -> traced ? new Timeline() : Timeline.off()).toList();
                ThreadRanks.run(worldSize, timelines::get, ranks -> {
                    try {
                        body.accept(ranks, timelines.get(ranks.rank()));
                    } catch (RuntimeException | Error e) {
                        if (worldSize == 1 || says(e)) {
                            throw e;
                        }
                        throw new RankFailure(ranks.rank(), e);
                    }
                });
            }

            /// Whether what failed says all, whichever rank it was.
            private static boolean says(Throwable e) {
                return e instanceof IllegalArgumentException || e instanceof IllegalStateException
                        || e instanceof UncheckedIOException || e instanceof RankFailure;
            }
        };
    }

    /// One rank, which is this process; the communicator records in its own timeline.
    ///
    /// @param words what the other ranks are told of a failure
    static Launch process(Communicator world, Timeline timeline, Function<Throwable, String> words) {
        return new Launch() {
            @Override
            public int worldSize() {
                return world.worldSize();
            }

            @Override
            public List<Integer> ranks() {
                return List.of(world.rank());
            }

            @Override
            public Optional<Communicator> others() {
                return Optional.of(world);
            }

            @Override
            public void run(boolean traced, BiConsumer<Communicator, Timeline> body) {
                try {
                    body.accept(world, timeline);
                } catch (RuntimeException | Error e) {
                    // now: the run then gives memory back that is still being sent or received
                    world.abort(words.apply(e));
                    throw e;
                }
            }
        };
    }
}
