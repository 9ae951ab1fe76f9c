package io.pravega.sluice.job.source;

import java.util.List;

/**
 * What the I/O thread hands to the task thread about one segment, in the order it happened.
 *
 * <p>{@code splitId} names the hand-out it belongs to. What was fetched for a segment that has been
 * released since is thrown away by that name: the next owner reads it again.
 */
final class Fetched {

    /** What happened. */
    enum Kind {
        /** Events, each with the offset behind it. */
        EVENTS,
        /** Events have been deleted before they were read; reading goes on at {@code offset}. */
        TRUNCATED,
        /** The segment is sealed and read to its end. */
        END,
        /** The segment has been deleted. */
        GONE
    }

    final String splitId;
    final Kind kind;
    final List<byte[]> events;
    /** For each event the offset where the next one begins. */
    final long[] offsets;
    /** Offset of the segment after this. */
    final long offset;
    /** Bytes of payload, for the bound of the queue. */
    final int bytes;

    private Fetched(
            String splitId,
            Kind kind,
            List<byte[]> events,
            long[] offsets,
            long offset,
            int bytes) {
        this.splitId = splitId;
        this.kind = kind;
        this.events = events;
        this.offsets = offsets;
        this.offset = offset;
        this.bytes = bytes;
    }

    static Fetched events(String splitId, List<byte[]> events, long[] offsets, int bytes) {
        return new Fetched(
                splitId, Kind.EVENTS, events, offsets, offsets[events.size() - 1], bytes);
    }

    static Fetched mark(String splitId, Kind kind, long offset) {
        return new Fetched(splitId, kind, List.of(), new long[0], offset, 0);
    }
}
