package io.pravega.sluice.job.source;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The reader with its real I/O thread over segments in memory. */
@Timeout(20)
class PravegaReaderTest {

    private final FakeSegments segments = new FakeSegments();
    private final List<SourceEvent> sent = new ArrayList<>();
    private final Map<String, List<String>> emitted = new TreeMap<>();
    private final List<String> outputs = new ArrayList<>();

    private final SourceReaderContext context =
            Fakes.of(
                    SourceReaderContext.class,
                    (proxy, method, args) -> {
                        switch (method.getName()) {
                            case "metricGroup":
                                return Fakes.metricGroup(SourceReaderMetricGroup.class);
                            case "getIndexOfSubtask":
                                return 0;
                            case "sendSourceEventToCoordinator":
                                sent.add((SourceEvent) args[0]);
                                return null;
                            default:
                                return null;
                        }
                    });

    private final ReaderOutput<byte[]> output = output();
    private final PravegaReader reader = new PravegaReader(context, segments);

    @SuppressWarnings("unchecked")
    private ReaderOutput<byte[]> output() {
        return Fakes.of(
                ReaderOutput.class,
                (proxy, method, args) -> {
                    if (method.getName().equals("createOutputForSplit")) {
                        String split = (String) args[0];
                        outputs.add("+" + split);
                        return Fakes.of(
                                SourceOutput.class,
                                (p, m, a) -> {
                                    emitted.computeIfAbsent(split, s -> new ArrayList<>())
                                            .add(new String((byte[]) a[0], StandardCharsets.UTF_8));
                                    return null;
                                });
                    }
                    if (method.getName().equals("releaseOutputForSplit")) {
                        outputs.add("-" + args[0]);
                    }
                    return null;
                });
    }

    @AfterEach
    void close() {
        reader.close();
    }

    /** As Flink's task does: poll while there is something, then wait until told. */
    private void runUntil(java.util.function.BooleanSupplier reached) throws Exception {
        while (!reached.getAsBoolean()) {
            if (reader.pollNext(output) == InputStatus.NOTHING_AVAILABLE) {
                reader.isAvailable().get(10, TimeUnit.SECONDS);
            }
        }
    }

    private int count(String split) {
        return emitted.getOrDefault(split, List.of()).size();
    }

    private static String name(long id, int generation) {
        return SegmentSplit.live(id, 0, generation).splitId();
    }

    @Test
    void positionIsBehindTheLastEventEmittedNotTheLastFetched() throws Exception {
        segments.write(1, "aa", "bb", "cc");
        reader.start();
        reader.addSplits(List.of(SegmentSplit.live(1, 0, 1)));
        runUntil(() -> count(name(1, 1)) == 2);
        assertEquals(List.of(SegmentSplit.live(1, 20, 1)), reader.snapshotState(1));
        runUntil(() -> count(name(1, 1)) == 3);
        assertEquals(List.of(SegmentSplit.live(1, 30, 1)), reader.snapshotState(2));
    }

    @Test
    void restoredReaderReportsFirstAndGoesOnFromItsOffset() throws Exception {
        segments.write(1, "aa", "bb", "cc");
        reader.addSplits(List.of(SegmentSplit.live(1, 10, 3)));
        reader.start();
        assertEquals(1, sent.size());
        assertEquals(
                List.of(SegmentSplit.live(1, 10, 3)), ((Messages.Owned) sent.get(0)).splits);
        runUntil(() -> count(name(1, 3)) == 2);
        assertEquals(List.of("bb", "cc"), emitted.get(name(1, 3)));
    }

    @Test
    void endIsReportedAfterTheLastEventAndKeptUntilForgotten() throws Exception {
        segments.write(1, "aa");
        segments.seal(1);
        reader.start();
        reader.addSplits(List.of(SegmentSplit.live(1, 0, 1)));
        runUntil(() -> sent.size() == 2);
        SegmentSplit finished = new SegmentSplit(1, 10, 1, SegmentSplit.Status.FINISHED);
        assertEquals(finished, ((Messages.Finished) sent.get(1)).split);
        assertEquals(List.of("aa"), emitted.get(name(1, 1)));
        assertEquals(List.of(finished), reader.snapshotState(1));
        reader.handleSourceEvents(new Messages.Forget(1, 2));
        assertEquals(1, reader.snapshotState(1).size(), "another generation is another segment");
        reader.handleSourceEvents(new Messages.Forget(1, 1));
        assertEquals(List.of(), reader.snapshotState(1));
        reader.pollNext(output);
        assertEquals(List.of("+" + name(1, 1), "-" + name(1, 1)), outputs);
    }

    @Test
    void releaseStopsAtOnceAndThrowsAwayWhatWasFetchedAhead() throws Exception {
        segments.write(1, "aa", "bb", "cc");
        segments.write(2, "zz");
        reader.start();
        reader.addSplits(List.of(SegmentSplit.live(1, 0, 1), SegmentSplit.live(2, 0, 1)));
        runUntil(() -> count(name(1, 1)) == 1);
        reader.handleSourceEvents(new Messages.Release(1, 1));
        SegmentSplit parked = new SegmentSplit(1, 10, 1, SegmentSplit.Status.PARKED);
        assertEquals(parked, ((Messages.Parked) sent.get(1)).split);
        runUntil(() -> count(name(2, 1)) == 1);
        segments.write(2, "yy");
        runUntil(() -> count(name(2, 1)) == 2);
        assertEquals(List.of("aa"), emitted.get(name(1, 1)));
        assertTrue(reader.snapshotState(1).contains(parked));
        reader.handleSourceEvents(new Messages.Release(1, 1));
        assertEquals(2, sent.size(), "released once");
        reader.handleSourceEvents(new Messages.Forget(1, 1));
        reader.addSplits(List.of(SegmentSplit.live(1, 10, 2)));
        runUntil(() -> count(name(1, 2)) == 2);
        assertEquals(List.of("bb", "cc"), emitted.get(name(1, 2)));
    }

    @Test
    void liveSegmentIsNeverForgotten() {
        reader.start();
        reader.addSplits(List.of(SegmentSplit.live(1, 0, 1)));
        reader.handleSourceEvents(new Messages.Forget(1, 1));
        assertEquals(1, reader.snapshotState(1).size());
    }

    @Test
    void failedReadIsRepeatedAtThePlaceWhereItWas() throws Exception {
        segments.write(1, "aa");
        reader.start();
        reader.addSplits(List.of(SegmentSplit.live(1, 0, 1)));
        runUntil(() -> count(name(1, 1)) == 1);
        segments.fail(1, 2);
        segments.write(1, "bb");
        runUntil(() -> count(name(1, 1)) == 2);
        assertEquals(List.of("aa", "bb"), emitted.get(name(1, 1)));
        assertEquals(3, segments.opened(1));
    }

    @Test
    void truncatedSegmentGoesOnAtItsFirstEvent() throws Exception {
        segments.write(1, "aa", "bb", "cc");
        segments.truncate(1, 2);
        reader.start();
        reader.addSplits(List.of(SegmentSplit.live(1, 0, 1)));
        runUntil(() -> count(name(1, 1)) == 1);
        assertEquals(List.of("cc"), emitted.get(name(1, 1)));
        assertEquals(List.of(SegmentSplit.live(1, 30, 1)), reader.snapshotState(1));
    }

    @Test
    void deletedSegmentCountsAsFinished() throws Exception {
        segments.write(1, "aa");
        segments.delete(1);
        reader.start();
        reader.addSplits(List.of(SegmentSplit.live(1, 0, 1)));
        runUntil(() -> sent.size() == 2);
        assertTrue(sent.get(1) instanceof Messages.Finished);
        assertTrue(emitted.isEmpty());
    }

    /** One segment with much to read must not keep another one waiting for its end. */
    @Test
    void segmentsTakeTurns() throws Exception {
        String[] many = new String[20_000];
        java.util.Arrays.fill(many, "some event or other");
        segments.write(1, many);
        segments.write(2, "zz");
        reader.start();
        reader.addSplits(List.of(SegmentSplit.live(1, 0, 1), SegmentSplit.live(2, 0, 1)));
        runUntil(() -> count(name(2, 1)) == 1);
        assertTrue(count(name(1, 1)) < 2000, "after " + count(name(1, 1)) + " events of the other");
    }

    @Test
    void nothingToReadMeansNotAvailable() {
        reader.start();
        assertEquals(InputStatus.NOTHING_AVAILABLE, reader.pollNext(output));
        assertFalse(reader.isAvailable().isDone());
    }
}
