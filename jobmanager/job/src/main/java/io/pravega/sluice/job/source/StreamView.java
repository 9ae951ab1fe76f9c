package io.pravega.sluice.job.source;

import java.io.IOException;
import java.util.Map;
import java.util.Set;

/**
 * What the enumerator asks the Pravega controller. Calls block, up to a limit, and are made off the
 * coordinator's thread.
 */
interface StreamView extends AutoCloseable {

    /** The first segments of the stream that still exist, each with its first offset. */
    Map<Long, Long> head() throws IOException;

    /** The segments that are being written now, each with its present length. */
    Map<Long, Long> tail() throws IOException;

    /**
     * Segments that follow a finished one, each with all its predecessors.
     *
     * @return empty only if the stream is sealed and the segment was one of its last
     * @throws IOException also when the controller does not know the successors yet
     */
    Map<Long, Set<Long>> successors(long segmentId) throws IOException;

    @Override
    void close();
}
