package io.pravega.sluice.job.source;

import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceOutput;

/**
 * A segment in a reader's state, with the position behind the last event emitted. Changed by the
 * task thread only; the volatile fields are for the threads that read metrics.
 */
final class HeldSegment {

    private final SegmentSplit given;
    private volatile long offset;
    private volatile SegmentSplit.Status status;
    private SourceOutput<byte[]> output;

    HeldSegment(SegmentSplit given) {
        this.given = given;
        offset = given.offset();
        status = given.status();
    }

    long segmentId() {
        return given.segmentId();
    }

    String splitId() {
        return given.splitId();
    }

    int generation() {
        return given.generation();
    }

    long offset() {
        return offset;
    }

    boolean isLive() {
        return status == SegmentSplit.Status.LIVE;
    }

    void moveTo(long newOffset) {
        offset = newOffset;
    }

    /** Ends the reading: the segment stays in the state only until it may be forgotten. */
    void end(SegmentSplit.Status how) {
        status = how;
        output = null;
    }

    /** As it stands now: for a checkpoint, or for a report to the enumerator. */
    SegmentSplit split() {
        return new SegmentSplit(given.segmentId(), offset, given.generation(), status);
    }

    /** This segment's own output, so that it has its own place in event time. */
    SourceOutput<byte[]> output(ReaderOutput<byte[]> all) {
        if (output == null) {
            output = all.createOutputForSplit(splitId());
        }
        return output;
    }
}
