package io.pravega.sluice.job.source;

import java.util.HashSet;
import java.util.Set;
import java.util.TreeMap;

/**
 * Which subtasks have given up a segment (parked and taken over, or finished) that their last
 * completed checkpoint may still show as theirs.
 *
 * <p>Such a subtask cannot be set back to that checkpoint alone: it would read again what another
 * reader has gone on from. A departure is settled once a checkpoint has completed whose enumerator
 * part was taken after it, because the reader had then been told to forget the segment before it
 * took its own part.
 */
final class Departures {

    private final Set<Integer> sinceSnapshot = new HashSet<>();
    /** Checkpoint not yet known to be complete → subtasks with departures before its snapshot. */
    private final TreeMap<Long, Set<Integer>> beforeSnapshot = new TreeMap<>();

    void record(int subtask) {
        sinceSnapshot.add(subtask);
    }

    boolean unsettled(int subtask) {
        return sinceSnapshot.contains(subtask)
                || beforeSnapshot.values().stream().anyMatch(s -> s.contains(subtask));
    }

    void snapshot(long checkpointId) {
        if (!sinceSnapshot.isEmpty()) {
            beforeSnapshot.put(checkpointId, new HashSet<>(sinceSnapshot));
            sinceSnapshot.clear();
        }
    }

    /** Every restore from now on is from this checkpoint or a later one. */
    void completed(long checkpointId) {
        beforeSnapshot.headMap(checkpointId, true).clear();
    }

    int size() {
        return sinceSnapshot.size() + beforeSnapshot.size();
    }
}
