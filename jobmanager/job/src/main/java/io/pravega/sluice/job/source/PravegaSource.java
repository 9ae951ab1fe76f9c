package io.pravega.sluice.job.source;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Objects;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Reads the events of one Pravega stream as raw bytes, exactly once, in the order of each routing
 * key, for as long as the job runs.
 *
 * <p>At the end of a sealed stream the readers are idle and the job goes on running. A job that
 * finished by itself would take its JobManager down, and whoever watches it could not tell a sealed
 * stream from a lost job; ending it is left to a person.
 */
public final class PravegaSource implements Source<byte[], SegmentSplit, EnumeratorState> {

    private static final long serialVersionUID = 1L;

    private final PravegaAddress address;
    private final StartAt startAt;

    /**
     * @param address where the stream is
     * @param startAt where to begin without a checkpoint
     */
    public PravegaSource(PravegaAddress address, StartAt startAt) {
        this.address = Objects.requireNonNull(address);
        this.startAt = Objects.requireNonNull(startAt);
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SplitEnumerator<SegmentSplit, EnumeratorState> createEnumerator(
            SplitEnumeratorContext<SegmentSplit> context) {
        return restoreEnumerator(context, EnumeratorState.empty());
    }

    @Override
    public SplitEnumerator<SegmentSplit, EnumeratorState> restoreEnumerator(
            SplitEnumeratorContext<SegmentSplit> context, EnumeratorState state) {
        return new PravegaEnumerator(context, this::connect, startAt, state);
    }

    @Override
    public SourceReader<byte[], SegmentSplit> createReader(SourceReaderContext context)
            throws IOException {
        return new PravegaReader(context, new PravegaTail.Opener(address));
    }

    @Override
    public SimpleVersionedSerializer<SegmentSplit> getSplitSerializer() {
        return new SegmentSplitSerializer();
    }

    @Override
    public SimpleVersionedSerializer<EnumeratorState> getEnumeratorCheckpointSerializer() {
        return new EnumeratorStateSerializer();
    }

    private StreamView connect() {
        try {
            return new ControllerStreamView(address);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
