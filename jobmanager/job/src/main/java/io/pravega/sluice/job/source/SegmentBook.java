package io.pravega.sluice.job.source;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.flink.api.connector.source.SourceEvent;

/**
 * Who reads which segment: the enumerator's decisions, without Flink's threads or any I/O.
 *
 * <p><b>Facts about Flink that this rests on.</b> The enumerator's part of checkpoint N is taken
 * before any reader gets barrier N. What the enumerator sends before that part is taken reaches the
 * reader before barrier N; what it sends after is held back until the reader has passed barrier N.
 * What a reader sends before barrier N, however, may reach the enumerator after its part of N.
 *
 * <p><b>So the rule is:</b> a reader keeps a segment in its own state until the enumerator has
 * answered {@link Messages.Forget}, and the enumerator changes its own state and sends Forget in
 * one go. In every checkpoint a segment is then in exactly one place: with the reader that has not
 * been told to forget it, or with the enumerator, or with the reader it was assigned to next.
 *
 * <p><b>One subtask alone set back</b> (Flink's region failover, never in reactive or adaptive
 * mode): the reader could come back with a segment that has since gone to somebody else. What it
 * had emitted since is rolled back with it while the other reader's work is not, so no answer would
 * be right. The book throws instead, Flink restarts the whole job from the checkpoint, and all is
 * consistent. That is also why a reader never reports what the enumerator already has: either both
 * go back, or neither.
 */
final class SegmentBook {

    /** What the book wants done. Calls come from the same thread as the call into the book. */
    interface Actions {
        /** Whether a message to this subtask can be sent now. */
        boolean reachable(int subtask);

        void assign(int subtask, SegmentSplit split);

        void send(int subtask, SourceEvent message);

        /** Ask for the successors; the answer comes back as {@link #successors}. */
        void findSuccessors(long segmentId);
    }

    private static final class Owner {
        final int subtask;
        final int generation;
        boolean releasing;

        Owner(int subtask, int generation) {
            this.subtask = subtask;
            this.generation = generation;
        }
    }

    private final int parallelism;
    private final Actions actions;
    private final TreeMap<Long, SegmentSplit> unassigned = new TreeMap<>();
    private final TreeMap<Long, Owner> owned = new TreeMap<>();
    private final Lineage lineage;
    private final Departures departures = new Departures();
    private final Set<Integer> reported = new HashSet<>();
    private boolean started;
    private boolean unevenAtLastTick;

    SegmentBook(int parallelism, EnumeratorState restored, Actions actions) {
        this.parallelism = parallelism;
        this.actions = actions;
        started = restored.started;
        restored.unassigned.forEach(split -> unassigned.put(split.segmentId(), split));
        lineage = new Lineage(restored.finished, restored.startedSuccessors);
    }

    /** False until {@link #begin} has been called, in this run or the one that was restored. */
    boolean started() {
        return started;
    }

    /** Takes up the questions that a restored state left open. */
    void resume() {
        lineage.unresolved().forEach(actions::findSuccessors);
    }

    /**
     * Starts reading the stream.
     *
     * @param from segments that together cover all routing keys once, with their offsets
     */
    void begin(Map<Long, Long> from) {
        if (started) {
            return;
        }
        started = true;
        from.forEach((id, offset) -> unassigned.put(id, SegmentSplit.live(id, offset, 1)));
        place();
    }

    /** A reader told what is in its state; nothing is handed out before all of them have. */
    void owned(int subtask, Collection<SegmentSplit> splits) {
        for (SegmentSplit split : splits) {
            take(subtask, split);
            if (split.status() == SegmentSplit.Status.PARKED) {
                parked(subtask, split);
            } else if (split.status() == SegmentSplit.Status.FINISHED) {
                finished(subtask, split);
            }
        }
        reported.add(subtask);
        place();
    }

    /** A reader put a segment down: it waits for a reader again, one generation on. */
    void parked(int subtask, SegmentSplit split) {
        if (!depart(subtask, split)) {
            return;
        }
        unassigned.put(
                split.segmentId(),
                SegmentSplit.live(split.segmentId(), split.offset(), split.generation() + 1));
        place();
    }

    /** A reader has read a segment to its end. */
    void finished(int subtask, SegmentSplit split) {
        if (!depart(subtask, split)) {
            return;
        }
        lineage.finish(split.segmentId());
        actions.findSuccessors(split.segmentId());
    }

    /**
     * The controller's answer to {@link Actions#findSuccessors}.
     *
     * @param successors each successor with all its predecessors; empty if the stream ends here
     */
    void successors(long segmentId, Map<Long, Set<Long>> successors) {
        for (long next : lineage.resolve(segmentId, successors)) {
            unassigned.put(next, SegmentSplit.live(next, 0, 1));
        }
        place();
    }

    /**
     * One subtask alone goes back to its last checkpoint.
     *
     * @param back what was assigned to it since
     * @throws IllegalStateException if it gave something away since; Flink answers with a restart
     *     of the whole job
     */
    void reset(int subtask, Collection<SegmentSplit> back) {
        if (departures.unsettled(subtask)) {
            throw new IllegalStateException(
                    String.format(
                            "subtask %d cannot be set back to its last checkpoint alone: it has "
                                    + "finished or handed over segments since, and other readers "
                                    + "have gone on from there; restarting the whole job",
                            subtask));
        }
        reported.remove(subtask);
        owned.values().removeIf(owner -> owner.subtask == subtask);
        back.forEach(split -> unassigned.put(split.segmentId(), split));
    }

    /**
     * Evens out, about once a second: asks readers with more than their share to release some. Only
     * what was uneven at the tick before counts, since the segments of a scale event end one after
     * the other and mostly even out by themselves.
     */
    void tick() {
        place();
        if (!allReported()) {
            return;
        }
        int[] loads = loads();
        int share = share();
        boolean uneven = Arrays.stream(loads).anyMatch(load -> load > share);
        if (uneven && unevenAtLastTick) {
            owned.descendingMap()
                    .forEach(
                            (id, owner) -> {
                                if (loads[owner.subtask] > share
                                        && !owner.releasing
                                        && actions.reachable(owner.subtask)) {
                                    owner.releasing = true;
                                    loads[owner.subtask]--;
                                    actions.send(
                                            owner.subtask,
                                            new Messages.Release(id, owner.generation));
                                }
                            });
        }
        unevenAtLastTick = uneven;
    }

    EnumeratorState snapshot(long checkpointId) {
        departures.snapshot(checkpointId);
        return new EnumeratorState(
                started,
                new ArrayList<>(unassigned.values()),
                lineage.finishedSegments(),
                lineage.startedSuccessors());
    }

    void completed(long checkpointId) {
        departures.completed(checkpointId);
    }

    /** The most segments that one subtask may read: its share, rounded up. */
    int share() {
        int live = owned.size() + unassigned.size();
        return (live + parallelism - 1) / parallelism;
    }

    /** Segments being read or waiting for a reader. */
    int live() {
        return owned.size() + unassigned.size();
    }

    /** Size of everything that is kept about the past; bounded, and the tests hold it to that. */
    int memory() {
        return departures.size()
                + lineage.finishedSegments().size()
                + lineage.startedSuccessors().size();
    }

    private boolean allReported() {
        return reported.size() == parallelism;
    }

    /** Gives each waiting segment to the reader with the fewest, once all have reported. */
    private void place() {
        if (!allReported() || unassigned.isEmpty()) {
            return;
        }
        for (int subtask = 0; subtask < parallelism; subtask++) {
            if (!actions.reachable(subtask)) {
                return; // it failed a moment ago and will report again
            }
        }
        int[] loads = loads();
        for (SegmentSplit split : new ArrayList<>(unassigned.values())) {
            int least = 0;
            for (int subtask = 1; subtask < parallelism; subtask++) {
                if (loads[subtask] < loads[least]) {
                    least = subtask;
                }
            }
            loads[least]++;
            unassigned.remove(split.segmentId());
            owned.put(split.segmentId(), new Owner(least, split.generation()));
            actions.assign(least, split);
        }
    }

    /** Segments per subtask; one that is being released no longer counts. */
    private int[] loads() {
        int[] loads = new int[parallelism];
        owned.values().stream().filter(o -> !o.releasing).forEach(o -> loads[o.subtask]++);
        return loads;
    }

    /** Notes an owner that Flink's restore, not this enumerator, has chosen. */
    private void take(int subtask, SegmentSplit split) {
        Owner before = owned.put(split.segmentId(), new Owner(subtask, split.generation()));
        if (before != null
                || unassigned.containsKey(split.segmentId())
                || lineage.isFinished(split.segmentId())) {
            throw new IllegalStateException(
                    String.format(
                            "segment %s reported by subtask %d is in the source's state twice",
                            split, subtask));
        }
    }

    /**
     * Ends a hand-out: the enumerator has it from here on, and the reader is told.
     *
     * @return false if the reader has failed meanwhile: then nothing has changed hands, and the
     *     segment comes back with the reader's restored state
     */
    private boolean depart(int subtask, SegmentSplit split) {
        if (!actions.reachable(subtask)) {
            return false;
        }
        Owner owner = owned.remove(split.segmentId());
        if (owner == null || owner.subtask != subtask || owner.generation != split.generation()) {
            throw new IllegalStateException(
                    String.format(
                            "subtask %d gave back %s, which it does not own", subtask, split));
        }
        departures.record(subtask);
        actions.send(subtask, new Messages.Forget(split.segmentId(), split.generation()));
        return true;
    }
}
