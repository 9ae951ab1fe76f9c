package io.pravega.sluice.job.source;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.core.io.InputStatus;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One subtask of the source. All methods run on Flink's task thread and none of them blocks; the
 * {@link SegmentFetcher} does the reading.
 *
 * <p>The state is the list of held segments. The position of a segment moves with each event that
 * is emitted, one event per {@link #pollNext}, so a barrier always falls between two events and the
 * snapshot is exact. What the fetcher has read ahead is not part of it and is read again after a
 * restore or by the next owner.
 *
 * <p>Its side of the hand-over protocol (see {@link SegmentBook}): a segment that is parked or
 * finished stays in the state until the enumerator says Forget.
 */
final class PravegaReader implements SourceReader<byte[], SegmentSplit> {

    private static final Logger LOG = LoggerFactory.getLogger(PravegaReader.class);

    private static final CompletableFuture<Void> AVAILABLE =
            CompletableFuture.completedFuture(null);

    private final SourceReaderContext context;
    private final SegmentTail.Opener opener;
    private final ReaderMetrics metrics;
    private final SegmentFetcher fetcher;
    /** By split id. Concurrent only for the threads that read metrics. */
    private final Map<String, HeldSegment> held = new ConcurrentHashMap<>();

    /** Outputs of segments that have ended, to be released once an output is at hand. */
    private final List<String> outputsToRelease = new ArrayList<>();

    private boolean started;
    private boolean idle;
    private Fetched batch;
    private int nextInBatch;

    PravegaReader(SourceReaderContext context, SegmentTail.Opener opener) {
        this.context = context;
        this.opener = opener;
        Backlog backlog = new Backlog(opener);
        metrics = new ReaderMetrics(context.metricGroup(), held, backlog);
        fetcher =
                new SegmentFetcher(
                        "pravega-reader-" + context.getIndexOfSubtask(),
                        opener,
                        backlog,
                        metrics::readFailed);
    }

    /** Restored segments are here already; the enumerator learns of them before one is read. */
    @Override
    public void start() {
        started = true;
        List<SegmentSplit> owned = snapshotState(0);
        LOG.info("Starting with {}", owned);
        context.sendSourceEventToCoordinator(new Messages.Owned(owned));
        fetcher.start();
        for (HeldSegment segment : held.values()) {
            if (segment.isLive()) {
                fetcher.add(segment.split());
            } else {
                outputsToRelease.add(segment.splitId());
            }
        }
    }

    @Override
    public void addSplits(List<SegmentSplit> splits) {
        for (SegmentSplit split : splits) {
            held.put(split.splitId(), new HeldSegment(split));
            if (started) {
                LOG.info("Reading {}", split);
                fetcher.add(split);
            }
        }
        fetcher.queue().wakeUp();
    }

    @Override
    public InputStatus pollNext(ReaderOutput<byte[]> output) {
        fetcher.checkAlive();
        releaseOutputs(output);
        if (batch == null) {
            batch = fetcher.queue().poll();
            nextInBatch = 0;
            if (batch == null) {
                markIdleIfSo(output);
                return InputStatus.NOTHING_AVAILABLE;
            }
        }
        HeldSegment segment = held.get(batch.splitId);
        if (segment == null || !segment.isLive()) {
            batch = null; // read ahead for a segment that was released meanwhile
            return InputStatus.MORE_AVAILABLE;
        }
        if (batch.kind == Fetched.Kind.EVENTS) {
            emitOne(segment, output);
        } else {
            follow(segment, batch);
            batch = null;
        }
        return InputStatus.MORE_AVAILABLE;
    }

    @Override
    public CompletableFuture<Void> isAvailable() {
        return batch != null || !outputsToRelease.isEmpty()
                ? AVAILABLE
                : fetcher.queue().available();
    }

    @Override
    public List<SegmentSplit> snapshotState(long checkpointId) {
        List<SegmentSplit> splits = new ArrayList<>();
        held.values().forEach(segment -> splits.add(segment.split()));
        return splits;
    }

    @Override
    public void handleSourceEvents(SourceEvent event) {
        if (event instanceof Messages.Release) {
            Messages.Release release = (Messages.Release) event;
            release(find(release.segmentId, release.generation));
        } else if (event instanceof Messages.Forget) {
            Messages.Forget forget = (Messages.Forget) event;
            HeldSegment segment = find(forget.segmentId, forget.generation);
            if (segment != null && !segment.isLive()) {
                held.remove(segment.splitId());
            }
        } else {
            throw new IllegalStateException("message not known to this reader: " + event);
        }
    }

    /** The stream has no end that the source would know of; the enumerator never says this. */
    @Override
    public void notifyNoMoreSplits() {}

    @Override
    public void close() {
        fetcher.close();
        opener.close();
    }

    private void emitOne(HeldSegment segment, ReaderOutput<byte[]> output) {
        if (idle) {
            output.markActive();
            idle = false;
        }
        byte[] event = batch.events.get(nextInBatch);
        long behind = batch.offsets[nextInBatch];
        segment.output(output).collect(event);
        metrics.emitted(behind - segment.offset());
        segment.moveTo(behind);
        if (++nextInBatch == batch.events.size()) {
            batch = null;
        }
    }

    /** Takes note of what is not an event: a gap, or the end. */
    private void follow(HeldSegment segment, Fetched mark) {
        switch (mark.kind) {
            case TRUNCATED:
                metrics.truncated(mark.offset - segment.offset());
                segment.moveTo(mark.offset);
                return;
            case GONE:
                metrics.gone();
                break;
            default:
                break;
        }
        end(segment, SegmentSplit.Status.FINISHED);
        context.sendSourceEventToCoordinator(new Messages.Finished(segment.split()));
    }

    /**
     * Puts a segment down behind the last event emitted. It may have ended or gone a moment ago;
     * then the enumerator hears that instead.
     */
    private void release(HeldSegment segment) {
        if (segment == null || !segment.isLive()) {
            return;
        }
        fetcher.remove(segment.split());
        end(segment, SegmentSplit.Status.PARKED);
        LOG.info("Released {}", segment.split());
        context.sendSourceEventToCoordinator(new Messages.Parked(segment.split()));
    }

    private void end(HeldSegment segment, SegmentSplit.Status how) {
        segment.end(how);
        outputsToRelease.add(segment.splitId());
        fetcher.queue().wakeUp();
    }

    private HeldSegment find(long segmentId, int generation) {
        for (HeldSegment segment : held.values()) {
            if (segment.segmentId() == segmentId && segment.generation() == generation) {
                return segment;
            }
        }
        return null;
    }

    private void releaseOutputs(ReaderOutput<byte[]> output) {
        if (!outputsToRelease.isEmpty()) {
            outputsToRelease.forEach(output::releaseOutputForSplit);
            outputsToRelease.clear();
        }
    }

    /** A reader without segments must not hold back event time for all the others. */
    private void markIdleIfSo(ReaderOutput<byte[]> output) {
        if (!idle && metrics.assignedSegments() == 0) {
            output.markIdle();
            idle = true;
        }
    }
}
