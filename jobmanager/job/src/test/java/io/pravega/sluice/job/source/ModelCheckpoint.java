package io.pravega.sluice.job.source;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;

/** A checkpoint of the {@link ModelFlink}; all state goes through the real serializers. */
final class ModelCheckpoint {

    private static final EnumeratorStateSerializer COORDINATOR = new EnumeratorStateSerializer();
    private static final SegmentSplitSerializer SPLIT = new SegmentSplitSerializer();

    final long id;
    private final byte[] coordinator;
    private final List<List<byte[]>> readers = new ArrayList<>();
    /** How many of the events it emitted in its run each reader had emitted at its barrier. */
    final List<Integer> emitted = new ArrayList<>();
    /** Events of each segment that count as emitted. */
    final Map<Long, Integer> total;

    /** Begins with the coordinator's part. */
    ModelCheckpoint(long id, EnumeratorState state, Map<Long, Integer> totalAtRestore) {
        this.id = id;
        this.total = new TreeMap<>(totalAtRestore);
        try {
            coordinator = COORDINATOR.serialize(state);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Ends with the parts of all readers. */
    void complete(List<ModelReader> all) {
        for (ModelReader reader : all) {
            List<byte[]> bytes = new ArrayList<>();
            try {
                for (SegmentSplit split : reader.barrierState) {
                    bytes.add(SPLIT.serialize(split));
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            readers.add(bytes);
            emitted.add(reader.barrierEmitted);
            reader.emitted
                    .subList(0, reader.barrierEmitted)
                    .forEach(segment -> total.merge(segment, 1, Integer::sum));
            reader.barrierState = null;
        }
    }

    EnumeratorState coordinator() {
        try {
            return COORDINATOR.deserialize(COORDINATOR.getVersion(), coordinator);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    List<SegmentSplit> reader(int subtask) {
        List<SegmentSplit> splits = new ArrayList<>();
        try {
            for (byte[] bytes : readers.get(subtask)) {
                splits.add(SPLIT.deserialize(SPLIT.getVersion(), bytes));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return splits;
    }

    /**
     * Flink leaves the state where it is, or spreads the items if the parallelism differs. It does
     * that evenly; here it is at random, which gives the evening-out something to do.
     */
    List<List<SegmentSplit>> redistribute(int parallelism, Random random) {
        List<List<SegmentSplit>> spread = new ArrayList<>();
        for (int i = 0; i < parallelism; i++) {
            spread.add(new ArrayList<>());
        }
        for (int old = 0; old < readers.size(); old++) {
            for (SegmentSplit split : reader(old)) {
                int to = readers.size() == parallelism ? old : random.nextInt(parallelism);
                spread.get(to).add(split);
            }
        }
        return spread;
    }

    /**
     * What a checkpoint must be: every segment that is not through is in one place, and its offset
     * is what was emitted.
     *
     * @return what is wrong, or null
     */
    String fault() {
        Map<Long, SegmentSplit> places = new HashMap<>();
        List<SegmentSplit> all = new ArrayList<>(coordinator().unassigned);
        for (int i = 0; i < readers.size(); i++) {
            all.addAll(reader(i));
        }
        for (SegmentSplit split : all) {
            if (places.put(split.segmentId(), split) != null) {
                return "checkpoint " + id + " has " + split + " in two places: " + all;
            }
            int out = total.getOrDefault(split.segmentId(), 0);
            if (out != split.offset()) {
                return "checkpoint " + id + " has " + split + ", but " + out + " events are out";
            }
        }
        return null;
    }
}
