package io.pravega.sluice.job.source;

import java.util.ArrayList;
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

    private static final class Assigned {
        final long afterCheckpoint;
        final SegmentSplit split;

        Assigned(long afterCheckpoint, SegmentSplit split) {
            this.afterCheckpoint = afterCheckpoint;
            this.split = split;
        }
    }

    private final Random random;
    private final ModelStream stream;
    private final boolean tracing;
    private final StringBuilder trace = new StringBuilder();
    private SegmentBook book;
    private List<ModelReader> readers = new ArrayList<>();
    private List<List<SegmentSplit>> restoredStates = new ArrayList<>();
    private final List<List<Assigned>> assigned = new ArrayList<>();
    private final List<Long> questions = new ArrayList<>();
    /** Events of each segment that count as emitted; rolled back with the job. */
    private Map<Long, Integer> total = new TreeMap<>();

    private ModelCheckpoint restoredFrom;
    private ModelCheckpoint lastComplete;
    private ModelCheckpoint running;
    private long checkpoints;
    private final List<Long> notYetNotified = new ArrayList<>();
    private int handOversBefore;
    /** Counts whatever moves, to see when nothing does any more. */
    private long moves;

    int globalRestarts;

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

    int handOvers() {
        return handOversBefore + readers.stream().mapToInt(r -> r.handOvers).sum();
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
                List<SegmentSplit> splits = new ArrayList<>(readers.get(subtask).held.values());
                if (!splits.isEmpty()) {
                    read(readers.get(subtask), splits.get(random.nextInt(splits.size())));
                }
        }
    }

    void startCheckpoint() {
        if (running != null) {
            return;
        }
        checkpoints++;
        note("checkpoint %d", checkpoints);
        running =
                new ModelCheckpoint(
                        checkpoints,
                        book.snapshot(checkpoints),
                        restoredFrom == null ? Map.of() : restoredFrom.total);
        readers.forEach(ModelReader::closeGate);
    }

    void abortCheckpoint() {
        if (running != null) {
            note("abort %d", running.id);
            running = null;
            readers.forEach(ModelReader::openGate);
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
        ModelReader failed = readers.get(subtask);
        failed.reachable = false;
        if (random.nextBoolean()) {
            guarded(book::tick); // something may happen before the coordinator hears of the reset
        }
        boolean inThisRun = lastComplete != null && lastComplete != restoredFrom;
        List<SegmentSplit> back = new ArrayList<>();
        for (Assigned given : assigned.get(subtask)) {
            if (!inThisRun || given.afterCheckpoint >= lastComplete.id) {
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
        int keep = inThisRun ? lastComplete.emitted.get(subtask) : 0;
        for (long segment : failed.emitted.subList(keep, failed.emitted.size())) {
            total.merge(segment, -1, Integer::sum);
        }
        handOversBefore += failed.handOvers;
        ModelReader again = new ModelReader();
        again.emitted.addAll(failed.emitted.subList(0, keep));
        again.open(inThisRun ? lastComplete.reader(subtask) : restoredStates.get(subtask));
        readers.set(subtask, again);
    }

    /** Runs without failures until nothing moves any more. */
    void settle() {
        abortCheckpoint();
        for (int quiet = 0; quiet < 3; quiet++) {
            long before = moves;
            for (int subtask = 0; subtask < readers.size(); subtask++) {
                while (!readers.get(subtask).inbox.isEmpty()) {
                    deliverToReader(subtask);
                }
                readAll(readers.get(subtask));
                while (!readers.get(subtask).outbox.isEmpty()) {
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
            int out = total.getOrDefault(segment.id, 0);
            String name = SegmentSplit.describe(segment.id);
            check(out == segment.length, "segment %s: emitted %d of %d", name, out, segment.length);
        }
    }

    void assertBalanced() {
        int live = readers.stream().mapToInt(ModelReader::live).sum();
        int most = readers.stream().mapToInt(ModelReader::live).max().orElse(0);
        int share = (live + readers.size() - 1) / readers.size();
        check(most <= share, "a subtask has %d of %d segments, share %d", most, live, share);
        int open = stream.open().size();
        check(live == open, "%d segments are read, the stream has %d", live, open);
    }

    void assertNothingKept() {
        check(book.memory() == 0, "the book still keeps %d entries", book.memory());
    }

    // ---- inside ----

    private void start(int parallelism) {
        handOversBefore = handOvers();
        running = null;
        notYetNotified.clear();
        questions.clear();
        restoredFrom = lastComplete;
        readers = new ArrayList<>();
        restoredStates = new ArrayList<>();
        assigned.clear();
        for (int i = 0; i < parallelism; i++) {
            readers.add(new ModelReader());
            restoredStates.add(List.of());
            assigned.add(new ArrayList<>());
        }
        EnumeratorState state = EnumeratorState.empty();
        total = new TreeMap<>();
        if (restoredFrom != null) {
            state = restoredFrom.coordinator();
            restoredStates = restoredFrom.redistribute(parallelism, random);
            total.putAll(restoredFrom.total);
        }
        book = new SegmentBook(parallelism, state, this);
        if (!book.started()) {
            book.begin(stream.head());
        }
        book.resume();
        for (int i = 0; i < parallelism; i++) {
            readers.get(i).open(restoredStates.get(i));
        }
    }

    private void deliverToReader(int subtask) {
        Object message = readers.get(subtask).inbox.poll();
        if (message != null) {
            moves++;
            note("reader %d gets %s", subtask, message);
            readers.get(subtask).receive(message);
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
        if (!questions.isEmpty()) {
            long segment = questions.remove(random.nextInt(questions.size()));
            note("successors of %s", SegmentSplit.describe(segment));
            guarded(() -> book.successors(segment, stream.segments.get(segment).successors));
        }
    }

    private void readAll(ModelReader reader) {
        long before = -1;
        while (before != moves) {
            before = moves;
            for (SegmentSplit split : new ArrayList<>(reader.held.values())) {
                read(reader, split);
            }
        }
    }

    private void read(ModelReader reader, SegmentSplit split) {
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
            int out = total.getOrDefault(segment.id, 0);
            check(out == split.offset(), "%s is emitted when %d are out", split, out);
            total.merge(segment.id, 1, Integer::sum);
            reader.emit(split);
            moves++;
        } else if (segment.sealed) {
            reader.finish(split);
            moves++;
        }
    }

    private void barrier(int subtask) {
        ModelReader reader = readers.get(subtask);
        if (running == null || reader.barrierState != null || !reader.inbox.isEmpty()) {
            return; // what was sent before the coordinator's snapshot comes before the barrier
        }
        note("barrier %d at %d: %s", running.id, subtask, reader.held.values());
        reader.passBarrier();
        if (readers.stream().allMatch(r -> r.barrierState != null)) {
            note("complete %d", running.id);
            running.complete(readers);
            String fault = running.fault();
            check(fault == null, "%s", fault);
            lastComplete = running;
            notYetNotified.add(running.id);
            running = null;
        }
    }

    private void notifyComplete() {
        if (!notYetNotified.isEmpty()) {
            book.completed(notYetNotified.remove(0));
        }
    }

    /** Only a reset may be refused; anything else that the book cannot make sense of is a bug. */
    private void guarded(Runnable step) {
        try {
            step.run();
        } catch (IllegalStateException e) {
            throw new AssertionError("unexpected: " + e.getMessage() + "\n" + trace, e);
        }
    }

    @Override
    public boolean reachable(int subtask) {
        return readers.get(subtask).reachable;
    }

    @Override
    public void assign(int subtask, SegmentSplit split) {
        note("assign %s to %d", split, subtask);
        assigned.get(subtask).add(new Assigned(checkpoints, split));
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

    private void post(int subtask, Object message) {
        moves++;
        check(readers.get(subtask).reachable, "message to a subtask that has failed");
        readers.get(subtask).post(message);
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
}
