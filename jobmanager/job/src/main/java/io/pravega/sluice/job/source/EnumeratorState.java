package io.pravega.sluice.job.source;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * What the enumerator must remember in a checkpoint. Segments that a reader owns are not in here:
 * they are in that reader's own state, and each segment is in exactly one of the two places.
 */
public final class EnumeratorState {

    /** False until the place to start in the stream has been read from the controller. */
    final boolean started;
    /** Segments that wait for a reader. */
    final List<SegmentSplit> unassigned;
    /** Segments read to their end that some successor not yet started still waits on. */
    final List<Long> finished;
    /** Successors of {@code finished} segments that have been started: never start them again. */
    final List<Long> startedSuccessors;

    EnumeratorState(
            boolean started,
            List<SegmentSplit> unassigned,
            List<Long> finished,
            List<Long> startedSuccessors) {
        this.started = started;
        this.unassigned = new ArrayList<>(unassigned);
        this.finished = new ArrayList<>(finished);
        this.startedSuccessors = new ArrayList<>(startedSuccessors);
    }

    static EnumeratorState empty() {
        return new EnumeratorState(false, List.of(), List.of(), List.of());
    }

    @Override
    public boolean equals(Object other) {
        if (!(other instanceof EnumeratorState)) {
            return false;
        }
        EnumeratorState that = (EnumeratorState) other;
        return started == that.started
                && unassigned.equals(that.unassigned)
                && finished.equals(that.finished)
                && startedSuccessors.equals(that.startedSuccessors);
    }

    @Override
    public int hashCode() {
        return Objects.hash(started, unassigned, finished, startedSuccessors);
    }

    @Override
    public String toString() {
        return String.format(
                "started=%s unassigned=%s finished=%s startedSuccessors=%s",
                started, unassigned, finished, startedSuccessors);
    }
}
