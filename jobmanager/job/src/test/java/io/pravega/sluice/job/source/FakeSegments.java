package io.pravega.sluice.job.source;

import io.pravega.client.segment.impl.EndOfSegmentException;
import io.pravega.client.segment.impl.NoSuchSegmentException;
import io.pravega.client.segment.impl.SegmentTruncatedException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** Segments in memory for the reader's tests; an event takes up its payload and 8 bytes. */
final class FakeSegments implements SegmentTail.Opener {

    private static final int HEADER = 8;

    private static final class Segment {
        final List<byte[]> events = new ArrayList<>();
        long truncatedTo;
        boolean sealed;
        boolean deleted;
        int failuresLeft;
        int opened;
        CompletableFuture<Void> changed = new CompletableFuture<>();
    }

    private final Map<Long, Segment> segments = new HashMap<>();

    synchronized void write(long id, String... events) {
        for (String event : events) {
            segment(id).events.add(event.getBytes(StandardCharsets.UTF_8));
        }
        changed(id);
    }

    synchronized void seal(long id) {
        segment(id).sealed = true;
        changed(id);
    }

    /** Deletes the first events. */
    synchronized void truncate(long id, int events) {
        segment(id).truncatedTo = offsetOf(segment(id), events);
    }

    synchronized void delete(long id) {
        segment(id).deleted = true;
        changed(id);
    }

    /** The next reads fail, each once. */
    synchronized void fail(long id, int times) {
        segment(id).failuresLeft = times;
        changed(id);
    }

    synchronized int opened(long id) {
        return segment(id).opened;
    }

    private Segment segment(long id) {
        return segments.computeIfAbsent(id, i -> new Segment());
    }

    private void changed(long id) {
        CompletableFuture<Void> before = segment(id).changed;
        segment(id).changed = new CompletableFuture<>();
        before.complete(null);
    }

    private static long offsetOf(Segment segment, int event) {
        long offset = 0;
        for (int i = 0; i < event; i++) {
            offset += HEADER + segment.events.get(i).length;
        }
        return offset;
    }

    @Override
    public synchronized SegmentTail open(long segmentId, long offset) {
        Segment segment = segment(segmentId);
        segment.opened++;
        int event = 0;
        while (offsetOf(segment, event) < offset) {
            event++;
        }
        return new Tail(segment, event);
    }

    @Override
    public synchronized CompletableFuture<Long> firstOffset(long segmentId) {
        Segment segment = segment(segmentId);
        return segment.deleted
                ? CompletableFuture.failedFuture(new NoSuchSegmentException("gone"))
                : CompletableFuture.completedFuture(segment.truncatedTo);
    }

    @Override
    public synchronized CompletableFuture<Long> length(long segmentId) {
        Segment segment = segment(segmentId);
        return CompletableFuture.completedFuture(offsetOf(segment, segment.events.size()));
    }

    @Override
    public void forget(long segmentId) {}

    @Override
    public void close() {}

    private final class Tail implements SegmentTail {
        private final Segment segment;
        private int next;

        Tail(Segment segment, int next) {
            this.segment = segment;
            this.next = next;
        }

        @Override
        public byte[] next() throws EndOfSegmentException, SegmentTruncatedException {
            synchronized (FakeSegments.this) {
                if (segment.failuresLeft > 0) {
                    segment.failuresLeft--;
                    throw new IllegalStateException("the segment store is away");
                }
                if (segment.deleted || offsetOf(segment, next) < segment.truncatedTo) {
                    throw new SegmentTruncatedException("truncated");
                }
                if (next < segment.events.size()) {
                    return segment.events.get(next++);
                }
                if (segment.sealed) {
                    throw new EndOfSegmentException();
                }
                return null;
            }
        }

        @Override
        public long offset() {
            synchronized (FakeSegments.this) {
                return offsetOf(segment, next);
            }
        }

        @Override
        public boolean ready() {
            synchronized (FakeSegments.this) {
                return segment.deleted
                        || segment.sealed
                        || segment.failuresLeft > 0
                        || next < segment.events.size();
            }
        }

        @Override
        public CompletableFuture<?> more() {
            synchronized (FakeSegments.this) {
                return segment.changed;
            }
        }

        @Override
        public void close() {}
    }
}
