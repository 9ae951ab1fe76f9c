package io.pravega.sluice.job.source;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.connector.source.SourceEvent;

/** One subtask of the {@link ModelFlink}: what it holds, has emitted, and has yet to hear. */
final class ModelReader {

    boolean reachable = true;
    final Map<String, SegmentSplit> held = new LinkedHashMap<>();
    /** The segment of each event emitted since the job's present run began. */
    final List<Long> emitted = new ArrayList<>();
    /** Messages on their way from the coordinator, and to it. */
    final ArrayDeque<Object> inbox = new ArrayDeque<>();

    final ArrayDeque<SourceEvent> outbox = new ArrayDeque<>();
    /** Its own part of the checkpoint in progress, once the barrier has passed. */
    List<SegmentSplit> barrierState;

    int barrierEmitted;
    int handOvers;

    /** Sent after the coordinator's part of a checkpoint that this subtask has not passed. */
    private final ArrayDeque<Object> heldBack = new ArrayDeque<>();

    private boolean gateClosed;

    /** Opens as Flink does: the state first, then the report. */
    void open(List<SegmentSplit> state) {
        state.forEach(split -> held.put(split.splitId(), split));
        outbox.add(new Messages.Owned(new ArrayList<>(held.values())));
    }

    /** The coordinator sends something. */
    void post(Object message) {
        (gateClosed ? heldBack : inbox).add(message);
    }

    void closeGate() {
        gateClosed = true;
        barrierState = null;
    }

    void openGate() {
        gateClosed = false;
        inbox.addAll(heldBack);
        heldBack.clear();
    }

    /** Takes its part of the checkpoint and lets through what was held back. */
    void passBarrier() {
        barrierState = new ArrayList<>(held.values());
        barrierEmitted = emitted.size();
        openGate();
    }

    /** Does what {@link PravegaReader} does with the same message. */
    void receive(Object message) {
        if (message instanceof SegmentSplit) {
            SegmentSplit split = (SegmentSplit) message;
            held.put(split.splitId(), split);
        } else if (message instanceof Messages.Forget) {
            Messages.Forget forget = (Messages.Forget) message;
            SegmentSplit split = find(forget.segmentId, forget.generation);
            if (split != null && split.status() != SegmentSplit.Status.LIVE) {
                held.remove(split.splitId());
            }
        } else {
            Messages.Release release = (Messages.Release) message;
            SegmentSplit split = find(release.segmentId, release.generation);
            if (split != null && split.status() == SegmentSplit.Status.LIVE) {
                SegmentSplit parked = put(split, split.offset(), SegmentSplit.Status.PARKED);
                outbox.add(new Messages.Parked(parked));
                handOvers++;
            }
        }
    }

    void emit(SegmentSplit split) {
        emitted.add(split.segmentId());
        put(split, split.offset() + 1, SegmentSplit.Status.LIVE);
    }

    void finish(SegmentSplit split) {
        outbox.add(
                new Messages.Finished(put(split, split.offset(), SegmentSplit.Status.FINISHED)));
    }

    int live() {
        int live = 0;
        for (SegmentSplit split : held.values()) {
            live += split.status() == SegmentSplit.Status.LIVE ? 1 : 0;
        }
        return live;
    }

    private SegmentSplit put(SegmentSplit s, long offset, SegmentSplit.Status status) {
        SegmentSplit now = new SegmentSplit(s.segmentId(), offset, s.generation(), status);
        held.put(now.splitId(), now);
        return now;
    }

    private SegmentSplit find(long segmentId, int generation) {
        for (SegmentSplit split : held.values()) {
            if (split.segmentId() == segmentId && split.generation() == generation) {
                return split;
            }
        }
        return null;
    }
}
