package io.pravega.sluice.job.source;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;

/** A Pravega stream on paper: segments over ranges of the key space, split and merged at will. */
final class ModelStream {

    static final class Segment {
        final long id;
        final int low;
        final int high;
        final Set<Long> predecessors;
        final Map<Long, Set<Long>> successors = new HashMap<>();
        int length;
        boolean sealed;

        Segment(long id, int low, int high, Set<Long> predecessors) {
            this.id = id;
            this.low = low;
            this.high = high;
            this.predecessors = predecessors;
        }
    }

    private static final int KEYS = 64;

    final Map<Long, Segment> segments = new TreeMap<>();
    private int nextNumber;
    private int epoch;

    ModelStream(int segments) {
        for (int i = 0; i < segments; i++) {
            add(i * KEYS / segments, (i + 1) * KEYS / segments, Set.of());
        }
    }

    /** The number of events goes up by one somewhere. */
    void write(Random random) {
        List<Segment> open = open();
        if (!open.isEmpty()) {
            open.get(random.nextInt(open.size())).length++;
        }
    }

    /** Seals neighbouring segments and covers their range with new ones: split, merge or both. */
    void scale(Random random) {
        List<Segment> open = open();
        int from = random.nextInt(open.size());
        int to = Math.min(open.size(), from + 1 + random.nextInt(3));
        int low = open.get(from).low;
        int high = open.get(to - 1).high;
        int parts = Math.min(1 + random.nextInt(3), high - low);
        scale(open.subList(from, to), low, high, parts);
    }

    /** Replaces all segments by {@code parts} new ones. */
    void scaleAll(int parts) {
        scale(open(), 0, KEYS, parts);
    }

    private void scale(List<Segment> seal, int low, int high, int parts) {
        epoch++;
        List<Segment> sealed = new ArrayList<>(seal);
        for (int i = 0; i < parts; i++) {
            int partLow = low + i * (high - low) / parts;
            int partHigh = low + (i + 1) * (high - low) / parts;
            Set<Long> predecessors = new HashSet<>();
            for (Segment old : sealed) {
                if (old.low < partHigh && partLow < old.high) {
                    predecessors.add(old.id);
                }
            }
            Segment added = add(partLow, partHigh, predecessors);
            for (long predecessor : predecessors) {
                segments.get(predecessor).successors.put(added.id, predecessors);
            }
        }
        sealed.forEach(old -> old.sealed = true);
    }

    void seal() {
        open().forEach(segment -> segment.sealed = true);
    }

    List<Segment> open() {
        List<Segment> open = new ArrayList<>();
        segments.values().stream().filter(s -> !s.sealed).forEach(open::add);
        open.sort((a, b) -> Integer.compare(a.low, b.low));
        return open;
    }

    Map<Long, Long> head() {
        Map<Long, Long> head = new HashMap<>();
        segments.values().stream()
                .filter(s -> s.predecessors.isEmpty())
                .forEach(s -> head.put(s.id, 0L));
        return head;
    }

    private Segment add(int low, int high, Set<Long> predecessors) {
        long id = ((long) epoch << 32) | nextNumber++;
        Segment segment = new Segment(id, low, high, predecessors);
        segments.put(id, segment);
        return segment;
    }
}
