package io.pravega.sluice.job.source;

import io.pravega.client.segment.impl.EndOfSegmentException;
import io.pravega.client.segment.impl.NoSuchSegmentException;
import io.pravega.client.segment.impl.SegmentTruncatedException;
import java.util.concurrent.CompletableFuture;

/** One open segment, read event by event. Used by one thread. */
interface SegmentTail extends AutoCloseable {

    /**
     * The next event's bytes, or null if none is at hand.
     *
     * @throws EndOfSegmentException after the last event of a sealed segment
     * @throws SegmentTruncatedException if the events at this offset no longer exist
     */
    byte[] next() throws EndOfSegmentException, SegmentTruncatedException;

    /** Where the event after the last one returned begins, in bytes. */
    long offset();

    /** Whether {@link #next} has an event, the end, or a failure to give. */
    boolean ready();

    /**
     * Completes, in whatever way, when {@link #next} is worth calling again. What had come in
     * meanwhile is taken in by this call and does not complete the future: ask {@link #ready} after
     * it.
     */
    CompletableFuture<?> more();

    @Override
    void close();

    /** Opens segments, and knows about them without opening them. */
    interface Opener extends AutoCloseable {

        /** Opens at a place; makes no remote call that blocks. */
        SegmentTail open(long segmentId, long offset);

        /**
         * The offset of the first event that the segment still has. Fails with {@link
         * NoSuchSegmentException} if the segment does not exist any more.
         */
        CompletableFuture<Long> firstOffset(long segmentId);

        /**
         * The segment's length in bytes, including what has been truncated from its head. What it
         * takes to ask is kept for the next time, until {@link #forget}.
         */
        CompletableFuture<Long> length(long segmentId);

        /** The segment's length will not be asked for again soon. */
        void forget(long segmentId);

        @Override
        void close();
    }
}
