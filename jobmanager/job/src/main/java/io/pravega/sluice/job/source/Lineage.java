package io.pravega.sluice.job.source;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Which segments have been read to their end, and which successors may start because of it.
 *
 * <p>A segment is remembered here only as long as one of its successors has not been started. A
 * split needs that for a moment, a merge until the last of its predecessors is read.
 */
final class Lineage {

    /** Finished segment → successor → that successor's predecessors; null until looked up. */
    private final Map<Long, Map<Long, Set<Long>>> finished = new TreeMap<>();

    private final Set<Long> startedSuccessors = new TreeSet<>();

    Lineage(Collection<Long> finished, Collection<Long> startedSuccessors) {
        finished.forEach(segment -> this.finished.put(segment, null));
        this.startedSuccessors.addAll(startedSuccessors);
    }

    /** Notes that {@code segment} has been read to its end; its successors are not known yet. */
    void finish(long segment) {
        finished.putIfAbsent(segment, null);
    }

    boolean isFinished(long segment) {
        return finished.containsKey(segment);
    }

    /** Finished segments whose successors have to be asked for. */
    List<Long> unresolved() {
        List<Long> segments = new ArrayList<>();
        finished.forEach(
                (segment, successors) -> {
                    if (successors == null) {
                        segments.add(segment);
                    }
                });
        return segments;
    }

    /**
     * Takes the controller's answer for one finished segment.
     *
     * @param successors each successor with all its predecessors; empty at the end of a sealed
     *     stream
     * @return successors to start now, each returned once in the life of the stream
     */
    List<Long> resolve(long segment, Map<Long, Set<Long>> successors) {
        if (!finished.containsKey(segment)) {
            return List.of();
        }
        finished.put(segment, Map.copyOf(successors));
        List<Long> start = new ArrayList<>();
        new TreeMap<>(successors)
                .forEach(
                        (successor, predecessors) -> {
                            if (finished.keySet().containsAll(predecessors)
                                    && startedSuccessors.add(successor)) {
                                start.add(successor);
                            }
                        });
        prune();
        return start;
    }

    /**
     * Drops what can no longer matter. A started successor is kept as long as any finished segment
     * names it, or could name it because its successors are not known yet.
     */
    private void prune() {
        finished.values()
                .removeIf(
                        successors ->
                                successors != null
                                        && startedSuccessors.containsAll(successors.keySet()));
        if (!finished.containsValue(null)) {
            Set<Long> named = new TreeSet<>();
            finished.values().forEach(successors -> named.addAll(successors.keySet()));
            startedSuccessors.retainAll(named);
        }
    }

    List<Long> finishedSegments() {
        return new ArrayList<>(finished.keySet());
    }

    List<Long> startedSuccessors() {
        return new ArrayList<>(startedSuccessors);
    }
}
