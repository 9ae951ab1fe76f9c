package io.pravega.sluice.job.source;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.flink.api.connector.source.SourceEvent;

/**
 * Flink on paper: one coordinator with the real {@link SegmentBook}, readers that follow the
 * protocol, messages that take their time, checkpoints, failures of one subtask or of all, and
 * rescales. It holds exactly to what Flink promises about the order of messages and checkpoints and
 * to nothing more. Whatever is emitted is checked against the {@link ModelStream} at once.
 */
final class ModelFlink implements SegmentBook.Actions {

    /** What one subtask emitted, per segment, since the job's present run began. */
    private static final class Reader {
        boolean reachable = true;
        final Map<String, SegmentSplit> held = new LinkedHashMap<>();
        final List<Long> emitted = new ArrayList<>();
        /** Sent and not yet received. */
        final ArrayDeque<Object> inbox = new ArrayDeque<>();
        /** Sent after the coordinator's part of a checkpoint that this subtask has not passed. */
        final ArrayDeque<Object> heldBack = new ArrayDeque<>();

        final ArrayDeque<SourceEvent> outbox = new ArrayDeque<>();
        boolean gateClosed;
        List<SegmentSplit> barrierState;
        int barrierEmitted;
    }

    /** A checkpoint that could be restored from. */
    private static final class Checkpoint {
        long id;
        byte[] coordinator;
        final List<List<SegmentSplit>> readers = new ArrayList<>();
        final List<Integer> emitted = new ArrayList<>();
        Map<Long, Integer> total;
    }

    private static final class Assigned {
        final long afterCheckpoint;
        final SegmentSplit split;

        Assigned(long afterCheckpoint, SegmentSplit split) {
            this.afterCheckpoint = afterCheckpoint;
            this.split = split;
        }
    }

    private static final EnumeratorStateSerializer COORDINATOR = new EnumeratorStateSerializer();
    private static final SegmentSplitSerializer SPLIT = new SegmentSplitSerializer();

    private final Random random;
    final ModelStream stream;
    private final boolean tracing;
    private final StringBuilder trace = new StringBuilder();
    private SegmentBook book;
    private List<Reader> readers = new ArrayList<>();
    private List<List<Assigned>> assigned = new ArrayList<>();
    private final List<Long> questions = new ArrayList<>();
    /** Events of each segment that count as emitted; rolled back with the job. */
    private Map<Long, Integer> total = new TreeMap<>();

    private Checkpoint restoredFrom;
    private Checkpoint lastComplete;
    private Checkpoint running;
    private long lastSnapshot;
    private long nextCheckpoint = 1;
    private final List<Long> notYetNotified = new ArrayList<>();
    int globalRestarts;
    int handOvers;
    /** Counts whatever moves, to see when nothing does any more. */
    private long moves;

    /**
     * @param tracing keep a record of each step for the message of a failure; slow
     */
    ModelFlink(Random random, ModelStream stream, int parallelism, boolean tracing) {
        this.random = random;
        this.stream = stream;
        this.tracing = tracing;
        start(parallelism);
    }

    int parallelism() {
        return readers.size();
    }

    // ---- the steps that a test can take, each a no-op if it is not possible now ----

    /** Something ordinary happens: a message arrives, an event is emitted, an answer comes. */
    void ordinaryStep() {
        int subtask = random.nextInt(readers.size());
        switch (random.nextInt(8)) {
            case 0:
                deliverToReader(subtask);
                break;
            case 1:
                deliverToCoordinator(subtask);
                break;
            case 2:
                answerQuestion();
                break;
            case 3:
                barrier(subtask);
                break;
            case 4:
                notifyComplete();
                break;
            case 5:
                guarded(book::tick);
                break;
            default:
                read(subtask);
        }
    }

    void startCheckpoint() {
        if (running != null || readers.stream().anyMatch(r -> !r.reachable)) {
            return;
        }
        running = new Checkpoint();
        running.id = lastSnapshot = nextCheckpoint++;
        note("checkpoint %d", running.id);
        running.coordinator = write(book.snapshot(running.id));
        for (Reader reader : readers) {
            reader.gateClosed = true;
            reader.barrierState = null;
        }
    }

    void abortCheckpoint() {
        if (running != null) {
            note("abort %d", running.id);
            running = null;
            readers.forEach(ModelFlink::openGate);
        }
    }

    /** All tasks go back to the last checkpoint, maybe with another parallelism. */
    void restartAll(int parallelism) {
        note("restart with %d", parallelism);
        globalRestarts++;
        start(parallelism);
    }

    /** Region failover: one subtask goes back to the last checkpoint, the others go on. */
    void restartOne(int subtask) {
        note("subtask %d fails", subtask);
        abortCheckpoint();
        Reader failed = readers.get(subtask);
        failed.reachable = false;
        if (random.nextBoolean()) {
            guarded(book::tick); // something may happen before the coordinator hears of the reset
        }
        Checkpoint from = lastComplete;
        boolean sinceRestore = from != null && from != restoredFrom;
        List<SegmentSplit> back = new ArrayList<>();
        for (Assigned given : assigned.get(subtask)) {
            if (!sinceRestore || given.afterCheckpoint >= from.id) {
                back.add(given.split);
            }
        }
        assigned.get(subtask).removeIf(given -> back.contains(given.split));
        try {
            book.reset(subtask, back);
        } catch (IllegalStateException e) {
            restartAll(readers.size());
            return;
        }
        int keep = sinceRestore ? from.emitted.get(subtask) : 0;
        for (long segment : failed.emitted.subList(keep, failed.emitted.size())) {
            total.merge(segment, -1, Integer::sum);
        }
        Reader again = new Reader();
        again.emitted.addAll(failed.emitted.subList(0, keep));
        readers.set(subtask, again);
        List<SegmentSplit> state =
                sinceRestore ? from.readers.get(subtask) : initialStates.get(subtask);
        open(again, state);
    }

    /** Runs without failures until nothing moves any more. */
    void settle() {
        abortCheckpoint();
        for (int quiet = 0; quiet < 3; quiet++) {
            long before = moves;
            for (int subtask = 0; subtask < readers.size(); subtask++) {
                Reader reader = readers.get(subtask);
                while (!reader.inbox.isEmpty()) {
                    deliverToReader(subtask);
                }
                readAll(subtask);
                while (!reader.outbox.isEmpty()) {
                    deliverToCoordinator(subtask);
                }
            }
            while (!questions.isEmpty()) {
                answerQuestion();
            }
            guarded(book::tick);
            if (before != moves) {
                quiet = -1;
            }
        }
    }

    /** A whole checkpoint, from start to the coordinator's notification. */
    void wholeCheckpoint() {
        startCheckpoint();
        for (int subtask = 0; subtask < readers.size(); subtask++) {
            while (!readers.get(subtask).inbox.isEmpty()) {
                deliverToReader(subtask);
            }
            barrier(subtask);
        }
        while (!notYetNotified.isEmpty()) {
            notifyComplete();
        }
    }

    // ---- what must hold ----

    void assertAllReadOnce() {
        for (ModelStream.Segment segment : stream.segments.values()) {
            check(
                    total.getOrDefault(segment.id, 0) == segment.length,
                    "segment %s: emitted %d of %d",
                    SegmentSplit.describe(segment.id),
                    total.getOrDefault(segment.id, 0),
                    segment.length);
        }
    }

    void assertBalanced() {
        int live = 0;
        int most = 0;
        for (Reader reader : readers) {
            int mine = 0;
            for (SegmentSplit split : reader.held.values()) {
                mine += split.status() == SegmentSplit.Status.LIVE ? 1 : 0;
            }
            live += mine;
            most = Math.max(most, mine);
        }
        int share = (live + readers.size() - 1) / readers.size();
        check(most <= share, "a subtask has %d of %d segments at parallelism %d", most, live, readers.size());
        check(live == stream.open().size(), "%d live segments, stream has %d", live, stream.open().size());
    }

    void assertNothingKept() {
        check(book.memory() == 0, "the book still keeps %d entries", book.memory());
    }

    // ---- inside ----

    private List<List<SegmentSplit>> initialStates = new ArrayList<>();

    private void start(int parallelism) {
        running = null;
        notYetNotified.clear();
        questions.clear();
        restoredFrom = lastComplete;
        List<List<SegmentSplit>> states = new ArrayList<>();
        EnumeratorState state = EnumeratorState.empty();
        total = new TreeMap<>();
        if (lastComplete != null) {
            state = read(lastComplete.coordinator);
            states = redistribute(lastComplete.readers, parallelism);
            total = new TreeMap<>(lastComplete.total);
        }
        while (states.size() < parallelism) {
            states.add(new ArrayList<>());
        }
        initialStates = states;
        readers = new ArrayList<>();
        assigned = new ArrayList<>();
        for (int i = 0; i < parallelism; i++) {
            readers.add(new Reader());
            assigned.add(new ArrayList<>());
        }
        book = new SegmentBook(parallelism, state, this);
        if (!book.started()) {
            book.begin(stream.head());
        }
        book.resume();
        for (int i = 0; i < parallelism; i++) {
            open(readers.get(i), states.get(i));
        }
    }

    /**
     * Flink leaves the state where it is, or spreads the items if the parallelism differs. It does so
     * evenly; here it is at random, which gives the rebalancing something to do.
     */
    private List<List<SegmentSplit>> redistribute(List<List<SegmentSplit>> old, int parallelism) {
        if (old.size() == parallelism) {
            return new ArrayList<>(old);
        }
        List<SegmentSplit> items = new ArrayList<>();
        old.forEach(items::addAll);
        List<List<SegmentSplit>> spread = new ArrayList<>();
        for (int i = 0; i < parallelism; i++) {
            spread.add(new ArrayList<>());
        }
        for (SegmentSplit item : items) {
            spread.get(random.nextInt(parallelism)).add(item);
        }
        return spread;
    }

    private void open(Reader reader, List<SegmentSplit> state) {
        state.forEach(split -> reader.held.put(split.splitId(), split));
        reader.outbox.add(new Messages.Owned(new ArrayList<>(reader.held.values())));
    }

    private void deliverToReader(int subtask) {
        Reader reader = readers.get(subtask);
        Object message = reader.inbox.poll();
        if (message == null) {
            return;
        }
        moves++;
        note("reader %d gets %s", subtask, message);
        if (message instanceof SegmentSplit) {
            SegmentSplit split = (SegmentSplit) message;
            reader.held.put(split.splitId(), split);
        } else if (message instanceof Messages.Forget) {
            Messages.Forget forget = (Messages.Forget) message;
            reader.held
                    .values()
                    .removeIf(
                            s ->
                                    s.segmentId() == forget.segmentId
                                            && s.generation() == forget.generation
                                            && s.status() != SegmentSplit.Status.LIVE);
        } else if (message instanceof Messages.Release) {
            Messages.Release release = (Messages.Release) message;
            for (SegmentSplit s : new ArrayList<>(reader.held.values())) {
                if (s.segmentId() == release.segmentId
                        && s.generation() == release.generation
                        && s.status() == SegmentSplit.Status.LIVE) {
                    SegmentSplit parked = with(s, s.offset(), SegmentSplit.Status.PARKED);
                    reader.held.put(s.splitId(), parked);
                    reader.outbox.add(new Messages.Parked(parked));
                    handOvers++;
                }
            }
        }
    }

    private void deliverToCoordinator(int subtask) {
        SourceEvent event = readers.get(subtask).outbox.poll();
        if (event == null) {
            return;
        }
        moves++;
        note("coordinator gets %s from %d", event, subtask);
        guarded(
                () -> {
                    if (event instanceof Messages.Owned) {
                        book.owned(subtask, ((Messages.Owned) event).splits);
                    } else if (event instanceof Messages.Parked) {
                        book.parked(subtask, ((Messages.Parked) event).split);
                    } else {
                        book.finished(subtask, ((Messages.Finished) event).split);
                    }
                });
    }

    private void answerQuestion() {
        if (questions.isEmpty()) {
            return;
        }
        long segment = questions.remove(random.nextInt(questions.size()));
        note("successors of %s", SegmentSplit.describe(segment));
        guarded(() -> book.successors(segment, stream.segments.get(segment).successors));
    }

    private void readAll(int subtask) {
        long before = -1;
        while (before != moves) {
            before = moves;
            for (SegmentSplit split : new ArrayList<>(readers.get(subtask).held.values())) {
                read(readers.get(subtask), split);
            }
        }
    }

    private void read(int subtask) {
        Reader reader = readers.get(subtask);
        List<SegmentSplit> splits = new ArrayList<>(reader.held.values());
        if (!splits.isEmpty()) {
            read(reader, splits.get(random.nextInt(splits.size())));
        }
    }

    private void read(Reader reader, SegmentSplit split) {
        if (split.status() != SegmentSplit.Status.LIVE) {
            return;
        }
        ModelStream.Segment segment = stream.segments.get(split.segmentId());
        if (split.offset() < segment.length) {
            for (long predecessor : segment.predecessors) {
                ModelStream.Segment before = stream.segments.get(predecessor);
                check(
                        before.sealed && total.getOrDefault(predecessor, 0) == before.length,
                        "%s is read before its predecessor %s is through",
                        split,
                        SegmentSplit.describe(predecessor));
            }
            check(
                    total.getOrDefault(segment.id, 0) == split.offset(),
                    "%s: emitting event %d, but %d are out",
                    split,
                    split.offset(),
                    total.getOrDefault(segment.id, 0));
            moves++;
            total.merge(segment.id, 1, Integer::sum);
            reader.emitted.add(segment.id);
            reader.held.put(split.splitId(), with(split, split.offset() + 1, split.status()));
        } else if (segment.sealed) {
            SegmentSplit finished = with(split, split.offset(), SegmentSplit.Status.FINISHED);
            reader.held.put(split.splitId(), finished);
            reader.outbox.add(new Messages.Finished(finished));
            moves++;
        }
    }

    private void barrier(int subtask) {
        Reader reader = readers.get(subtask);
        if (running == null || reader.barrierState != null || !reader.inbox.isEmpty()) {
            return; // what was sent before the coordinator's snapshot comes before the barrier
        }
        note("barrier %d at %d: %s", running.id, subtask, reader.held.values());
        reader.barrierState = new ArrayList<>(reader.held.values());
        reader.barrierEmitted = reader.emitted.size();
        openGate(reader);
        if (readers.stream().allMatch(r -> r.barrierState != null)) {
            complete();
        }
    }

    private void complete() {
        note("complete %d", running.id);
        running.total = new TreeMap<>(restoredFrom == null ? Map.of() : restoredFrom.total);
        for (Reader reader : readers) {
            running.readers.add(roundTrip(reader.barrierState));
            running.emitted.add(reader.barrierEmitted);
            reader.emitted
                    .subList(0, reader.barrierEmitted)
                    .forEach(segment -> running.total.merge(segment, 1, Integer::sum));
        }
        assertOnePlaceEach(running);
        lastComplete = running;
        notYetNotified.add(running.id);
        running = null;
        readers.forEach(reader -> reader.barrierState = null);
    }

    /** In a checkpoint every segment that is not through is in one place, at what was emitted. */
    private void assertOnePlaceEach(Checkpoint checkpoint) {
        Map<Long, SegmentSplit> places = new HashMap<>();
        List<SegmentSplit> all = new ArrayList<>(read(checkpoint.coordinator).unassigned);
        checkpoint.readers.forEach(all::addAll);
        for (SegmentSplit split : all) {
            check(
                    places.put(split.segmentId(), split) == null,
                    "checkpoint %d has %s in two places: %s",
                    checkpoint.id,
                    split,
                    all);
            check(
                    checkpoint.total.getOrDefault(split.segmentId(), 0) == split.offset(),
                    "checkpoint %d has %s, but %d events are out",
                    checkpoint.id,
                    split,
                    checkpoint.total.getOrDefault(split.segmentId(), 0));
        }
    }

    private void notifyComplete() {
        if (!notYetNotified.isEmpty()) {
            book.completed(notYetNotified.remove(0));
        }
    }

    private static void openGate(Reader reader) {
        reader.gateClosed = false;
        reader.inbox.addAll(reader.heldBack);
        reader.heldBack.clear();
    }

    /** Only a reset may be refused; anything else that the book cannot make sense of is a bug. */
    private void guarded(Runnable step) {
        try {
            step.run();
        } catch (IllegalStateException e) {
            throw new AssertionError("unexpected: " + e.getMessage() + "\n" + trace, e);
        }
    }

    private static SegmentSplit with(SegmentSplit s, long offset, SegmentSplit.Status status) {
        return new SegmentSplit(s.segmentId(), offset, s.generation(), status);
    }

    private void post(int subtask, Object message) {
        moves++;
        Reader reader = readers.get(subtask);
        check(reader.reachable, "message to a subtask that has failed");
        (reader.gateClosed ? reader.heldBack : reader.inbox).add(message);
    }

    @Override
    public boolean reachable(int subtask) {
        return readers.get(subtask).reachable;
    }

    @Override
    public void assign(int subtask, SegmentSplit split) {
        note("assign %s to %d", split, subtask);
        assigned.get(subtask).add(new Assigned(lastSnapshot, split));
        post(subtask, split);
    }

    @Override
    public void send(int subtask, SourceEvent message) {
        note("send %s to %d", message, subtask);
        post(subtask, message);
    }

    @Override
    public void findSuccessors(long segmentId) {
        questions.add(segmentId);
    }

    private void note(String format, Object... args) {
        if (tracing) {
            trace.append(String.format(format, args)).append('\n');
        }
    }

    private void check(boolean holds, String format, Object... args) {
        if (!holds) {
            throw new AssertionError(String.format(format, args) + "\n" + trace);
        }
    }

    private static byte[] write(EnumeratorState state) {
        try {
            return COORDINATOR.serialize(state);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static EnumeratorState read(byte[] state) {
        try {
            return COORDINATOR.deserialize(COORDINATOR.getVersion(), state);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static List<SegmentSplit> roundTrip(Collection<SegmentSplit> splits) {
        List<SegmentSplit> copies = new ArrayList<>();
        try {
            for (SegmentSplit split : splits) {
                copies.add(SPLIT.deserialize(SPLIT.getVersion(), SPLIT.serialize(split)));
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return copies;
    }
}
