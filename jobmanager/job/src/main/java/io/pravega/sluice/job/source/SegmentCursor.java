package io.pravega.sluice.job.source;

import io.pravega.client.segment.impl.EndOfSegmentException;
import io.pravega.client.segment.impl.NoSuchSegmentException;
import io.pravega.client.segment.impl.SegmentTruncatedException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadLocalRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads one segment for the {@link SegmentFetcher}: opens it, reads what is at hand, and finds its
 * way after a failure or a truncation. Used by the I/O thread only.
 */
final class SegmentCursor {

    private static final Logger LOG = LoggerFactory.getLogger(SegmentCursor.class);

    /** Small enough that segments take turns, large enough that the hand-over costs little. */
    private static final int BATCH_EVENTS = 128;

    private static final int BATCH_BYTES = 32 * 1024;
    private static final long FIRST_BACKOFF_MILLIS = 200;
    private static final long LONGEST_BACKOFF_MILLIS = 10_000;

    private final String splitId;
    private final long segmentId;
    private final SegmentTail.Opener opener;
    private final Runnable wake;
    private final Runnable onError;

    private long position;
    private SegmentTail tail;
    /** The future whose completion wakes the I/O thread; remembered to register only once. */
    private CompletableFuture<?> watched;
    /** Set while the first offset of a truncated segment is being asked for. */
    private CompletableFuture<Long> locating;

    private long backoffMillis;
    private long notBeforeMillis;
    private boolean done;

    SegmentCursor(SegmentSplit split, SegmentTail.Opener opener, Runnable wake, Runnable onError) {
        this.splitId = split.splitId();
        this.segmentId = split.segmentId();
        this.position = split.offset();
        this.opener = opener;
        this.wake = wake;
        this.onError = onError;
    }

    /**
     * Does what can be done without waiting.
     *
     * @param nowMillis a clock that only moves forward
     * @return something for the task thread, or null if there is nothing at hand
     */
    Fetched advance(long nowMillis) {
        if (done || nowMillis < notBeforeMillis) {
            return null;
        }
        try {
            return locating != null ? located(nowMillis) : read(nowMillis);
        } catch (RuntimeException e) {
            backOff(nowMillis, e);
            return null;
        }
    }

    long segmentId() {
        return segmentId;
    }

    /** How long nothing can be done for this segment, in milliseconds; 0 if it is not so. */
    long pauseMillis(long nowMillis) {
        return done ? 0 : Math.max(0, notBeforeMillis - nowMillis);
    }

    /** Whether the segment has been read to its end, or this has been closed. */
    boolean done() {
        return done;
    }

    void close() {
        done = true;
        closeTail();
    }

    private Fetched read(long nowMillis) {
        if (tail == null) {
            tail = opener.open(segmentId, position);
        }
        List<byte[]> events = new ArrayList<>();
        long[] offsets = new long[BATCH_EVENTS];
        int bytes = 0;
        try {
            while (events.size() < BATCH_EVENTS && bytes < BATCH_BYTES) {
                byte[] event = tail.next();
                if (event == null) {
                    break;
                }
                position = tail.offset();
                offsets[events.size()] = position;
                events.add(event);
                bytes += event.length;
            }
        } catch (EndOfSegmentException | SegmentTruncatedException | RuntimeException e) {
            // What was read before it is good, and the same exception comes again after that.
            if (events.isEmpty()) {
                return interrupted(e);
            }
        }
        if (events.isEmpty()) {
            watch(nowMillis);
            return null;
        }
        backoffMillis = 0;
        return Fetched.events(splitId, events, Arrays.copyOf(offsets, events.size()), bytes);
    }

    private Fetched interrupted(Exception reason) {
        if (reason instanceof EndOfSegmentException) {
            return finish(Fetched.Kind.END);
        }
        if (reason instanceof SegmentTruncatedException) {
            closeTail();
            locating = opener.firstOffset(segmentId);
            locating.whenComplete((offset, failure) -> wake.run());
            return null;
        }
        throw (RuntimeException) reason;
    }

    private void watch(long nowMillis) {
        CompletableFuture<?> more = tail.more();
        if (tail.ready()) {
            wake.run(); // it came in between the two questions
        } else if (more.isDone()) {
            notBeforeMillis = nowMillis + 10; // neither data nor a promise of it: do not spin
        } else if (more != watched) {
            watched = more;
            more.whenComplete((value, failure) -> wake.run());
        }
    }

    private Fetched located(long nowMillis) {
        if (!locating.isDone()) {
            return null;
        }
        CompletableFuture<Long> answer = locating;
        locating = null;
        try {
            long first = answer.join();
            if (first <= position) {
                backOff(nowMillis, new IllegalStateException("truncated, but not at " + position));
                return null;
            }
            LOG.warn(
                    "Segment {} has been truncated: {} bytes from {} on are lost to this job",
                    splitId,
                    first - position,
                    position);
            position = first;
            return Fetched.mark(splitId, Fetched.Kind.TRUNCATED, first);
        } catch (CompletionException e) {
            if (isCausedBy(e, NoSuchSegmentException.class)) {
                LOG.warn(
                        "Segment {} has been deleted: what it held from {} on is lost to this job",
                        splitId,
                        position);
                return finish(Fetched.Kind.GONE);
            }
            throw e;
        }
    }

    private static boolean isCausedBy(Throwable failure, Class<?> type) {
        Throwable cause = failure;
        while (cause != null && !type.isInstance(cause)) {
            cause = cause.getCause();
        }
        return cause != null;
    }

    private Fetched finish(Fetched.Kind kind) {
        close();
        return Fetched.mark(splitId, kind, position);
    }

    /** Whatever went wrong, the position is still true: open again there after a pause. */
    private void backOff(long nowMillis, RuntimeException failure) {
        closeTail();
        onError.run();
        backoffMillis =
                Math.min(LONGEST_BACKOFF_MILLIS, Math.max(FIRST_BACKOFF_MILLIS, backoffMillis * 2));
        long half = backoffMillis / 2;
        long pause = half + ThreadLocalRandom.current().nextLong(half + 1);
        notBeforeMillis = nowMillis + pause;
        LOG.warn(
                "Reading segment {} at {} failed, opening it again in {} ms: {}",
                splitId,
                position,
                pause,
                failure.toString());
    }

    private void closeTail() {
        watched = null;
        if (tail != null) {
            try {
                tail.close();
            } catch (RuntimeException e) {
                LOG.debug("Closing segment {}", splitId, e);
            }
            tail = null;
        }
    }
}
