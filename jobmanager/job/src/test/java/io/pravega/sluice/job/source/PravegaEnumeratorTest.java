package io.pravega.sluice.job.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.BiConsumer;
import org.apache.flink.api.connector.source.ReaderInfo;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.junit.jupiter.api.Test;

/** The enumerator's dealings with a controller that is not always there. */
class PravegaEnumeratorTest {

    /** A controller that can be away. */
    private static final class Controller implements StreamView {
        boolean away;
        int asked;
        final Map<Long, Map<Long, Set<Long>>> successors = new HashMap<>();

        @Override
        public Map<Long, Long> head() throws IOException {
            answer();
            return Map.of(0L, 11L);
        }

        @Override
        public Map<Long, Long> tail() throws IOException {
            answer();
            return Map.of(0L, 99L);
        }

        @Override
        public Map<Long, Set<Long>> successors(long segmentId) throws IOException {
            answer();
            return successors.get(segmentId);
        }

        private void answer() throws IOException {
            asked++;
            if (away) {
                throw new IOException("connection refused");
            }
        }

        @Override
        public void close() {}
    }

    private final Controller controller = new Controller();
    private final List<String> done = new ArrayList<>();
    private Runnable tick;

    private final SplitEnumeratorContext<SegmentSplit> context = context();

    @SuppressWarnings("unchecked")
    private SplitEnumeratorContext<SegmentSplit> context() {
        return Fakes.of(
                SplitEnumeratorContext.class,
                (proxy, method, args) -> {
                    switch (method.getName()) {
                        case "currentParallelism":
                            return 1;
                        case "registeredReaders":
                            return Map.of(0, new ReaderInfo(0, "here"));
                        case "assignSplit":
                            done.add(args[0].toString());
                            return null;
                        case "sendEventToSourceReader":
                            done.add(args[1].toString());
                            return null;
                        case "callAsync":
                            callAsync(
                                    (Callable<Object>) args[0],
                                    (BiConsumer<Object, Throwable>) args[1],
                                    args.length == 4);
                            return null;
                        default:
                            return null;
                    }
                });
    }

    private void callAsync(
            Callable<Object> call, BiConsumer<Object, Throwable> handler, boolean periodic) {
        Runnable run =
                () -> {
                    Object result = null;
                    Throwable failure = null;
                    try {
                        result = call.call();
                    } catch (Exception e) {
                        failure = e;
                    }
                    handler.accept(result, failure);
                };
        if (periodic) {
            tick = run;
        } else {
            run.run();
        }
    }

    private PravegaEnumerator start(StartAt startAt, EnumeratorState state) {
        PravegaEnumerator enumerator =
                new PravegaEnumerator(context, () -> controller, startAt, state);
        enumerator.start();
        enumerator.handleSourceEvent(0, new Messages.Owned(List.of()));
        return enumerator;
    }

    @Test
    void startsWhereItWasTold() {
        start(StartAt.EARLIEST, EnumeratorState.empty());
        start(StartAt.LATEST, EnumeratorState.empty());
        assertEquals(List.of("0.#epoch.0@1:11 LIVE", "0.#epoch.0@1:99 LIVE"), done);
    }

    @Test
    void restoredEnumeratorDoesNotStartAgain() {
        start(StartAt.EARLIEST, new EnumeratorState(true, List.of(), List.of(), List.of()));
        assertEquals(List.of(), done);
        assertEquals(0, controller.asked);
    }

    @Test
    void controllerThatIsAwayIsAskedAgainWithGrowingPauses() {
        controller.away = true;
        start(StartAt.EARLIEST, EnumeratorState.empty());
        assertEquals(1, controller.asked);
        for (int second = 0; second < 60; second++) {
            tick.run();
        }
        assertTrue(controller.asked > 5 && controller.asked < 12, "asked " + controller.asked);
        controller.away = false;
        for (int second = 0; second < 16; second++) {
            tick.run();
        }
        assertEquals(List.of("0.#epoch.0@1:11 LIVE"), done);
    }

    @Test
    void successorsAreStartedWhenTheControllerIsBack() {
        PravegaEnumerator enumerator = start(StartAt.EARLIEST, EnumeratorState.empty());
        done.clear();
        controller.away = true;
        controller.successors.put(0L, Map.of(5L, Set.of(0L)));
        enumerator.handleSourceEvent(
                0,
                new Messages.Finished(
                        new SegmentSplit(0, 50, 1, SegmentSplit.Status.FINISHED)));
        assertEquals(List.of("Forget[0.#epoch.0@1]"), done);
        assertEquals(List.of(0L), enumerator.snapshotState(1).finished);
        controller.away = false;
        tick.run();
        assertEquals(List.of("Forget[0.#epoch.0@1]", "5.#epoch.0@1:0 LIVE"), done);
        assertEquals(List.of(), enumerator.snapshotState(2).finished);
    }
}
