package io.pravega.sluice.job.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.connector.source.SourceEvent;
import org.junit.jupiter.api.Test;

/** The book's decisions one by one; {@link SegmentBookPropertyTest} has their combinations. */
class SegmentBookTest {

    /** Writes down what the book wants. */
    private static final class Recorder implements SegmentBook.Actions {
        final List<String> done = new ArrayList<>();
        boolean reachable = true;

        @Override
        public boolean reachable(int subtask) {
            return reachable;
        }

        @Override
        public void assign(int subtask, SegmentSplit split) {
            done.add(subtask + " reads " + split.segmentId() + "@" + split.generation()
                    + ":" + split.offset());
        }

        @Override
        public void send(int subtask, SourceEvent message) {
            done.add(message instanceof Messages.Forget
                    ? subtask + " forgets " + ((Messages.Forget) message).segmentId
                    : subtask + " releases " + ((Messages.Release) message).segmentId);
        }

        @Override
        public void findSuccessors(long segmentId) {
            done.add("after " + segmentId + "?");
        }

        List<String> take() {
            List<String> taken = List.copyOf(done);
            done.clear();
            return taken;
        }
    }

    private final Recorder recorder = new Recorder();

    private SegmentBook book(int parallelism) {
        return new SegmentBook(parallelism, EnumeratorState.empty(), recorder);
    }

    private static SegmentSplit split(long id, long offset, int generation, SegmentSplit.Status s) {
        return new SegmentSplit(id, offset, generation, s);
    }

    private static SegmentSplit finished(long id) {
        return split(id, 9, 1, SegmentSplit.Status.FINISHED);
    }

    @Test
    void nothingIsHandedOutBeforeAllReadersHaveReported() {
        SegmentBook book = book(2);
        book.begin(Map.of(0L, 5L));
        book.owned(1, List.of());
        assertEquals(List.of(), recorder.take());
        book.owned(0, List.of());
        assertEquals(List.of("0 reads 0@1:5"), recorder.take());
    }

    @Test
    void mergeWaitsForAllPredecessorsAndStartsOnce() {
        SegmentBook book = book(1);
        book.begin(Map.of(0L, 0L, 1L, 0L));
        book.owned(0, List.of());
        recorder.take();
        book.finished(0, finished(0));
        assertEquals(List.of("0 forgets 0", "after 0?"), recorder.take());
        book.successors(0, Map.of(7L, Set.of(0L, 1L)));
        assertEquals(List.of(), recorder.take());
        book.finished(0, finished(1));
        recorder.take();
        book.successors(1, Map.of(7L, Set.of(0L, 1L)));
        assertEquals(List.of("0 reads 7@1:0"), recorder.take());
        book.snapshot(1);
        book.completed(1);
        assertEquals(0, book.memory());
    }

    @Test
    void mergeStillWaitsAfterARestore() {
        SegmentBook book = book(1);
        book.begin(Map.of(0L, 0L, 1L, 0L));
        book.owned(0, List.of());
        book.finished(0, finished(0));
        book.successors(0, Map.of(7L, Set.of(0L, 1L)));
        EnumeratorState state = book.snapshot(1);
        recorder.take();

        SegmentBook restored = new SegmentBook(1, state, recorder);
        restored.resume();
        assertEquals(List.of("after 0?"), recorder.take());
        restored.owned(0, List.of(SegmentSplit.live(1, 4, 1)));
        restored.successors(0, Map.of(7L, Set.of(0L, 1L)));
        assertEquals(List.of(), recorder.take());
        restored.finished(0, finished(1));
        restored.successors(1, Map.of(7L, Set.of(0L, 1L)));
        assertTrue(recorder.take().contains("0 reads 7@1:0"));
    }

    @Test
    void unevenReaderIsAskedToReleaseAndTheOtherGetsItAtTheSameOffset() {
        SegmentBook book = book(2);
        book.owned(0, List.of(SegmentSplit.live(1, 10, 1), SegmentSplit.live(2, 20, 1)));
        book.owned(1, List.of());
        book.tick();
        assertEquals(List.of(), recorder.take(), "uneven for one tick may pass by itself");
        book.tick();
        assertEquals(List.of("0 releases 2"), recorder.take());
        book.tick();
        book.tick();
        assertEquals(List.of(), recorder.take(), "asked once");
        book.parked(0, split(2, 33, 1, SegmentSplit.Status.PARKED));
        assertEquals(List.of("0 forgets 2", "1 reads 2@2:33"), recorder.take());
    }

    @Test
    void parkedAndFinishedFromACheckpointAreTakenUpAtTheReport() {
        EnumeratorState state = new EnumeratorState(true, List.of(), List.of(), List.of());
        SegmentBook book = new SegmentBook(1, state, recorder);
        book.owned(0, List.of(split(3, 8, 4, SegmentSplit.Status.PARKED), finished(5)));
        assertEquals(
                List.of("0 forgets 3", "0 forgets 5", "after 5?", "0 reads 3@5:8"),
                recorder.take());
    }

    @Test
    void subtaskThatGaveSomethingAwayIsNotSetBackAlone() {
        SegmentBook book = book(2);
        book.owned(0, List.of(SegmentSplit.live(1, 0, 1)));
        book.owned(1, List.of());
        book.finished(0, finished(1));
        book.snapshot(4);
        assertThrows(IllegalStateException.class, () -> book.reset(0, List.of()));
        book.completed(4);
        book.reset(0, List.of());
    }

    @Test
    void splitsOfAFailedSubtaskWaitUntilItIsBack() {
        SegmentBook book = book(2);
        book.begin(Map.of(0L, 0L, 1L, 0L));
        book.owned(0, List.of());
        book.owned(1, List.of());
        recorder.take();
        book.reset(1, List.of(SegmentSplit.live(1, 0, 1)));
        book.tick();
        assertEquals(List.of(), recorder.take());
        book.owned(1, List.of());
        assertEquals(List.of("1 reads 1@1:0"), recorder.take());
    }

    @Test
    void reportOfAReaderThatHasFailedSinceChangesNothing() {
        SegmentBook book = book(1);
        book.owned(0, List.of(SegmentSplit.live(1, 0, 1)));
        recorder.reachable = false;
        book.finished(0, finished(1));
        assertEquals(List.of(), recorder.take());
        assertEquals(1, book.live());
    }

    @Test
    void sameSegmentTwiceIsRefused() {
        SegmentBook book = book(2);
        book.owned(0, List.of(SegmentSplit.live(1, 0, 1)));
        assertThrows(
                IllegalStateException.class,
                () -> book.owned(1, List.of(SegmentSplit.live(1, 5, 2))));
    }

    @Test
    void sealedStreamEndsQuietly() {
        SegmentBook book = book(1);
        book.begin(Map.of(0L, 0L));
        book.owned(0, List.of());
        book.finished(0, finished(0));
        book.successors(0, Map.of());
        assertEquals(0, book.live());
        assertFalse(book.snapshot(1).finished.contains(0L));
    }
}
