package io.pravega.sluice.job.source;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.connector.source.SourceEvent;

/**
 * What enumerator and readers say to each other besides Flink's own "here is a split".
 *
 * <pre>
 *   reader → enumerator   Owned, Parked, Finished
 *   enumerator → reader   Release, Forget
 * </pre>
 */
final class Messages {

    private Messages() {}

    /** Everything in the reader's state, sent once at its start, before it reads anything. */
    static final class Owned implements SourceEvent {
        private static final long serialVersionUID = 1L;
        final ArrayList<SegmentSplit> splits;

        Owned(List<SegmentSplit> splits) {
            this.splits = new ArrayList<>(splits);
        }

        @Override
        public String toString() {
            return "Owned" + splits;
        }
    }

    /** The reader put the segment down at {@code split.offset()}, as it was asked to. */
    static final class Parked implements SourceEvent {
        private static final long serialVersionUID = 1L;
        final SegmentSplit split;

        Parked(SegmentSplit split) {
            this.split = split;
        }

        @Override
        public String toString() {
            return "Parked[" + split + "]";
        }
    }

    /** The reader has emitted the segment's last event, or the segment is gone altogether. */
    static final class Finished implements SourceEvent {
        private static final long serialVersionUID = 1L;
        final SegmentSplit split;

        Finished(SegmentSplit split) {
            this.split = split;
        }

        @Override
        public String toString() {
            return "Finished[" + split + "]";
        }
    }

    /** Stop reading this hand-out of the segment and park it. */
    static final class Release implements SourceEvent {
        private static final long serialVersionUID = 1L;
        final long segmentId;
        final int generation;

        Release(long segmentId, int generation) {
            this.segmentId = segmentId;
            this.generation = generation;
        }

        @Override
        public String toString() {
            return "Release[" + SegmentSplit.describe(segmentId) + "@" + generation + "]";
        }
    }

    /** The enumerator has it: drop this parked or finished hand-out from the reader's state. */
    static final class Forget implements SourceEvent {
        private static final long serialVersionUID = 1L;
        final long segmentId;
        final int generation;

        Forget(long segmentId, int generation) {
            this.segmentId = segmentId;
            this.generation = generation;
        }

        @Override
        public String toString() {
            return "Forget[" + SegmentSplit.describe(segmentId) + "@" + generation + "]";
        }
    }
}
