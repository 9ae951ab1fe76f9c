package io.pravega.sluice.job.source;

import java.util.Collection;
import java.util.Map;
import java.util.function.Supplier;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;

/**
 * What one reader tells about itself: the standard metrics of FLIP-33 and a few of its own. The
 * gauges are read by Flink's metric threads.
 */
final class ReaderMetrics {

    private final Counter recordsIn;
    private final Counter bytesIn;
    private final Counter segmentsTruncated;
    private final Counter bytesTruncated;
    private final Counter segmentsGone;
    private final Counter readErrors;
    private final Supplier<Collection<HeldSegment>> held;
    private final Backlog backlog;

    /** Of the events emitted so far, for their mean size. Written by the task thread only. */
    private volatile long emittedEvents;

    private volatile long emittedBytes;

    ReaderMetrics(
            SourceReaderMetricGroup group, Map<String, HeldSegment> held, Backlog backlog) {
        this.held = held::values;
        this.backlog = backlog;
        recordsIn = group.getIOMetricGroup().getNumRecordsInCounter();
        bytesIn = group.getIOMetricGroup().getNumBytesInCounter();
        segmentsTruncated = group.counter("segmentsTruncated");
        bytesTruncated = group.counter("bytesTruncated");
        segmentsGone = group.counter("segmentsGone");
        readErrors = group.counter("segmentReadErrors");
        group.setPendingBytesGauge(this::pendingBytes);
        group.setPendingRecordsGauge(this::pendingRecords);
        group.gauge("assignedSegments", (Gauge<Integer>) this::assignedSegments);
    }

    void emitted(long bytes) {
        recordsIn.inc();
        bytesIn.inc(bytes);
        emittedEvents = emittedEvents + 1; // one writer, so no atomic is needed
        emittedBytes = emittedBytes + bytes;
    }

    void truncated(long bytes) {
        segmentsTruncated.inc();
        bytesTruncated.inc(bytes);
    }

    void gone() {
        segmentsTruncated.inc();
        segmentsGone.inc();
    }

    void readFailed() {
        readErrors.inc();
    }

    int assignedSegments() {
        int live = 0;
        for (HeldSegment segment : held.get()) {
            live += segment.isLive() ? 1 : 0;
        }
        return live;
    }

    /** Exact as of the last look-up; unknown if it is so for any one segment. */
    long pendingBytes() {
        long sum = 0;
        for (HeldSegment segment : held.get()) {
            if (segment.isLive()) {
                long pending = backlog.pendingBytes(segment.segmentId(), segment.offset());
                if (pending == Backlog.UNKNOWN) {
                    return Backlog.UNKNOWN;
                }
                sum += pending;
            }
        }
        return sum;
    }

    /** Estimated: pending bytes over the mean size of the events that this reader has emitted. */
    long pendingRecords() {
        long bytes = pendingBytes();
        long events = emittedEvents;
        if (bytes <= 0) {
            return bytes;
        }
        if (events == 0) {
            return Backlog.UNKNOWN;
        }
        double meanSize = (double) emittedBytes / events;
        return Math.max(1, Math.round(bytes / meanSize));
    }
}
