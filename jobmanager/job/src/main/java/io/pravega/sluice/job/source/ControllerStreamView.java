package io.pravega.sluice.job.source;

import io.pravega.client.control.impl.Controller;
import io.pravega.client.segment.impl.Segment;
import io.pravega.client.segment.impl.SegmentMetadataClient;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.impl.SegmentWithRange;
import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The {@link StreamView} of a real Pravega controller. */
final class ControllerStreamView implements StreamView {

    /** Above the client's own limit, so that its error, which says more, comes first. */
    private static final long CALL_TIMEOUT_SECONDS = 20;

    private final PravegaAddress address;
    private final PravegaConnection connection;
    private final Controller controller;

    ControllerStreamView(PravegaAddress address) throws IOException {
        this.address = address;
        connection = PravegaConnection.open(address);
        controller = connection.controller();
    }

    @Override
    public Map<Long, Long> head() throws IOException {
        Stream stream = Stream.of(address.scope(), address.stream());
        Map<Long, Long> offsets = new HashMap<>();
        await(controller.getSegmentsAtTime(stream, 0L), "the first segments")
                .forEach((segment, offset) -> offsets.put(segment.getSegmentId(), offset));
        if (offsets.isEmpty()) {
            throw new IOException("the controller names no first segments of " + address);
        }
        return offsets;
    }

    @Override
    public Map<Long, Long> tail() throws IOException {
        Set<Long> segments = current();
        if (segments.isEmpty()) {
            throw new IOException(
                    "the stream " + address + " is sealed: it has no tail to start at");
        }
        Map<Long, Long> lengths = new HashMap<>();
        for (long segment : segments) {
            try (SegmentMetadataClient metadata = connection.metadata(segment)) {
                lengths.put(
                        segment,
                        await(metadata.fetchCurrentSegmentLength(), "the length of a segment"));
            }
        }
        return lengths;
    }

    /**
     * {@inheritDoc}
     *
     * <p>While the controller is in the middle of a scale event, a segment can be sealed already
     * and have no successors on record yet. Taking that for the end of the stream would lose all
     * that follows, so "none" is believed only of a stream that has no current segments at all.
     */
    @Override
    public Map<Long, Set<Long>> successors(long segmentId) throws IOException {
        Map<SegmentWithRange, List<Long>> answer =
                await(controller.getSuccessors(connection.segment(segmentId)), "the successors")
                        .getSegmentToPredecessor();
        if (answer.isEmpty() && !current().isEmpty()) {
            throw new IOException(
                    "the controller knows no successors of "
                            + SegmentSplit.describe(segmentId)
                            + " yet, but the stream is not sealed");
        }
        Map<Long, Set<Long>> successors = new HashMap<>();
        answer.forEach(
                (successor, predecessors) ->
                        successors.put(
                                successor.getSegment().getSegmentId(),
                                new HashSet<>(predecessors)));
        return successors;
    }

    @Override
    public void close() {
        connection.close();
    }

    private Set<Long> current() throws IOException {
        Set<Long> ids = new HashSet<>();
        for (Segment segment :
                await(
                                controller.getCurrentSegments(address.scope(), address.stream()),
                                "the current segments")
                        .getSegments()) {
            ids.add(segment.getSegmentId());
        }
        return ids;
    }

    private static <T> T await(CompletableFuture<T> answer, String what) throws IOException {
        try {
            return answer.get(CALL_TIMEOUT_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new IOException("asking for " + what + ": " + rootOf(e), e);
        } catch (TimeoutException e) {
            answer.cancel(true);
            throw new IOException(
                    "asking for " + what + ": no answer within " + CALL_TIMEOUT_SECONDS + " s", e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("asking for " + what + ": interrupted", e);
        }
    }

    private static Throwable rootOf(Throwable failure) {
        Throwable root = failure;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        return root;
    }
}
