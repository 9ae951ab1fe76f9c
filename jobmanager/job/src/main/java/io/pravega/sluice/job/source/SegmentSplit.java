package io.pravega.sluice.job.source;

import java.io.Serializable;
import java.util.Objects;
import org.apache.flink.api.connector.source.SourceSplit;

/**
 * One segment of the stream and how far it has been read: the unit that the enumerator hands out,
 * a reader owns, and a checkpoint remembers.
 *
 * <p>The {@code generation} counts how often the segment has been handed out. It is what makes the
 * hand-over protocol checkable: of two statements about one segment the higher generation is the
 * newer one, so a reader that comes back from an old checkpoint can never be taken for the present
 * owner (see {@link SegmentBook}).
 *
 * <p>Immutable. It is {@link Serializable} only because it travels inside source events, which
 * Flink ships by Java serialization between processes of one job; state goes through {@link
 * SegmentSplitSerializer}.
 */
public final class SegmentSplit implements SourceSplit, Serializable {

    private static final long serialVersionUID = 1L;

    /** What the owner does with the segment. */
    public enum Status {
        /** Being read. */
        LIVE,
        /** Put down between two events, kept in the reader's state until the enumerator has it. */
        PARKED,
        /** Read to its end, kept in the reader's state until the enumerator knows. */
        FINISHED
    }

    private final long segmentId;
    private final long offset;
    private final int generation;
    private final Status status;

    /**
     * @param segmentId Pravega's 64-bit id: epoch in the upper half, number in the lower
     * @param offset byte position of the next event that has not been emitted
     * @param generation how often this segment has been handed out, from 1
     * @param status what the owner does with it
     */
    public SegmentSplit(long segmentId, long offset, int generation, Status status) {
        if (offset < 0 || generation < 1) {
            throw new IllegalArgumentException(
                    "segment " + segmentId + ": offset " + offset + ", generation " + generation);
        }
        this.segmentId = segmentId;
        this.offset = offset;
        this.generation = generation;
        this.status = Objects.requireNonNull(status);
    }

    /** A segment to be read from {@code offset} on. */
    static SegmentSplit live(long segmentId, long offset, int generation) {
        return new SegmentSplit(segmentId, offset, generation, Status.LIVE);
    }

    /**
     * Unique for each handing-out: Flink keys per-split outputs by this id, and the output of a
     * segment that went away must not be mistaken for the one of its return.
     */
    @Override
    public String splitId() {
        return describe(segmentId) + "@" + generation;
    }

    /** How Pravega itself writes a segment id: {@code number.#epoch.epoch}. */
    static String describe(long segmentId) {
        return (int) segmentId + ".#epoch." + (int) (segmentId >>> 32);
    }

    long segmentId() {
        return segmentId;
    }

    long offset() {
        return offset;
    }

    int generation() {
        return generation;
    }

    Status status() {
        return status;
    }

    @Override
    public boolean equals(Object other) {
        if (!(other instanceof SegmentSplit)) {
            return false;
        }
        SegmentSplit that = (SegmentSplit) other;
        return segmentId == that.segmentId
                && offset == that.offset
                && generation == that.generation
                && status == that.status;
    }

    @Override
    public int hashCode() {
        return Objects.hash(segmentId, offset, generation, status);
    }

    @Override
    public String toString() {
        return splitId() + ":" + offset + " " + status;
    }
}
