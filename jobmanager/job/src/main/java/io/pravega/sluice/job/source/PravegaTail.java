package io.pravega.sluice.job.source;

import io.pravega.client.segment.impl.EndOfSegmentException;
import io.pravega.client.segment.impl.EventSegmentReader;
import io.pravega.client.segment.impl.SegmentMetadataClient;
import io.pravega.client.segment.impl.SegmentTruncatedException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** A {@link SegmentTail} over the Java client's reader of raw events. */
final class PravegaTail implements SegmentTail {

    /**
     * Read-ahead of one segment in bytes. The client keeps one request in flight and this much
     * buffered, so a subtask with many segments pays this for each of them out of a small heap.
     */
    private static final int READ_AHEAD = 256 * 1024;

    private static final long METADATA_TIMEOUT_SECONDS = 30;

    private final EventSegmentReader reader;

    private PravegaTail(EventSegmentReader reader) {
        this.reader = reader;
    }

    @Override
    public byte[] next() throws EndOfSegmentException, SegmentTruncatedException {
        if (!ready()) {
            return null;
        }
        // Ready means that a header, the end or a failure is at hand, so 0 ms wait for it. An event
        // that is here only in part is waited for inside: its rest is already on its way.
        ByteBuffer event = reader.read(0);
        return event == null ? null : event.array();
    }

    @Override
    public long offset() {
        return reader.getOffset();
    }

    @Override
    public boolean ready() {
        return reader.isSegmentReady();
    }

    @Override
    public CompletableFuture<?> more() {
        return reader.fillBuffer();
    }

    @Override
    public void close() {
        reader.close();
    }

    /** Opens tails over this JVM's shared connection. */
    static final class Opener implements SegmentTail.Opener {

        private final PravegaConnection connection;
        /**
         * One per segment whose length is watched. A new one would ask the controller for a token
         * each time, and the backlog would not be known while the controller is away.
         */
        private final Map<Long, SegmentMetadataClient> watched = new ConcurrentHashMap<>();

        Opener(PravegaAddress address) throws IOException {
            connection = PravegaConnection.open(address);
        }

        @Override
        public SegmentTail open(long segmentId, long offset) {
            return new PravegaTail(
                    connection
                            .segmentStreams()
                            .createEventReaderForSegment(
                                    connection.segment(segmentId), offset, READ_AHEAD));
        }

        @Override
        public CompletableFuture<Long> firstOffset(long segmentId) {
            SegmentMetadataClient metadata = connection.metadata(segmentId);
            return metadata.fetchCurrentSegmentHeadOffset()
                    .orTimeout(METADATA_TIMEOUT_SECONDS, TimeUnit.SECONDS)
                    .whenComplete((offset, failure) -> metadata.close());
        }

        @Override
        public CompletableFuture<Long> length(long segmentId) {
            return watched.computeIfAbsent(segmentId, connection::metadata)
                    .fetchCurrentSegmentLength()
                    .orTimeout(METADATA_TIMEOUT_SECONDS, TimeUnit.SECONDS);
        }

        @Override
        public void forget(long segmentId) {
            SegmentMetadataClient metadata = watched.remove(segmentId);
            if (metadata != null) {
                metadata.close();
            }
        }

        @Override
        public void close() {
            List.copyOf(watched.keySet()).forEach(this::forget);
            connection.close();
        }
    }
}
