package io.pravega.sluice.job.source;

import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The lengths of this reader's segments, looked up every few seconds, for FLIP-33's {@code
 * pendingBytes}: what a segment holds beyond the last event that this reader has emitted.
 *
 * <p>A length that is not known, or not freshly, is unknown and not zero: a backlog of nothing is
 * what an autoscaler shrinks on.
 */
final class Backlog {

    /** What a gauge shows while the backlog is not known. */
    static final long UNKNOWN = -1;

    /** How often lengths are looked up. */
    static final long REFRESH_MILLIS = 3000;

    private static final long STALE_MILLIS = 30_000;

    private static final class Length {
        final long bytes;
        final long atMillis;

        Length(long bytes, long atMillis) {
            this.bytes = bytes;
            this.atMillis = atMillis;
        }
    }

    private final SegmentTail.Opener opener;
    private final Map<Long, Length> lengths = new ConcurrentHashMap<>();
    private final Map<Long, Boolean> asking = new ConcurrentHashMap<>();
    private long nextRefreshMillis;

    Backlog(SegmentTail.Opener opener) {
        this.opener = opener;
    }

    /** Starts look-ups if they are due; called by the I/O thread, does not wait. */
    void refresh(long nowMillis, Collection<SegmentCursor> cursors) {
        if (nowMillis < nextRefreshMillis) {
            return;
        }
        nextRefreshMillis = nowMillis + REFRESH_MILLIS;
        lengths.values().removeIf(length -> nowMillis - length.atMillis > STALE_MILLIS);
        for (SegmentCursor cursor : cursors) {
            long segmentId = cursor.segmentId();
            if (asking.putIfAbsent(segmentId, true) == null) {
                opener.length(segmentId)
                        .whenComplete(
                                (bytes, failure) -> {
                                    asking.remove(segmentId);
                                    if (failure == null) {
                                        lengths.put(segmentId, new Length(bytes, nowMillis));
                                    }
                                });
            }
        }
    }

    /** The segment is no longer read here. Called by the I/O thread. */
    void forget(long segmentId) {
        lengths.remove(segmentId);
        opener.forget(segmentId);
    }

    /**
     * Bytes of one segment that have not been emitted.
     *
     * @param offset behind the last event that has been
     * @return {@link #UNKNOWN} if the segment's length is not known
     */
    long pendingBytes(long segmentId, long offset) {
        Length length = lengths.get(segmentId);
        return length == null ? UNKNOWN : Math.max(0, length.bytes - offset);
    }
}
