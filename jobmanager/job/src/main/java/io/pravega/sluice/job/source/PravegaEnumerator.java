package io.pravega.sluice.job.source;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The {@link SegmentBook} wired to Flink and to the Pravega controller.
 *
 * <p>Everything here runs on Flink's coordinator thread except the calls of {@link StreamView},
 * which go through {@link SplitEnumeratorContext#callAsync}. A controller that is away delays
 * successors, it never fails the job: each question is asked again, at most 16 s apart, for ever.
 */
final class PravegaEnumerator implements SplitEnumerator<SegmentSplit, EnumeratorState> {

    private static final Logger LOG = LoggerFactory.getLogger(PravegaEnumerator.class);

    /** The beat of evening out and of asking again. */
    private static final long TICK_MILLIS = 1000;

    private static final int LONGEST_WAIT_TICKS = 16;

    /** One question to the controller that has failed at least once. */
    private static final class Retry {
        int waitTicks;
        int ticksLeft;
        boolean asking;
    }

    /** Where a fresh start asks for its first segments; no segment has this id. */
    private static final long THE_START = -1;

    private final SplitEnumeratorContext<SegmentSplit> context;
    private final Supplier<StreamView> connect;
    private final StartAt startAt;
    private final SegmentBook book;
    private final Map<Long, Retry> questions = new HashMap<>();
    private volatile StreamView view;

    PravegaEnumerator(
            SplitEnumeratorContext<SegmentSplit> context,
            Supplier<StreamView> connect,
            StartAt startAt,
            EnumeratorState restored) {
        this.context = context;
        this.connect = connect;
        this.startAt = startAt;
        this.book = new SegmentBook(context.currentParallelism(), restored, new FlinkActions());
    }

    @Override
    public void start() {
        view = connect.get();
        LOG.info(
                "Parallelism {}, first segments known: {}",
                context.currentParallelism(),
                book.started());
        if (!book.started()) {
            ask(THE_START);
        }
        book.resume();
        context.callAsync(() -> true, (tick, failure) -> onTick(), TICK_MILLIS, TICK_MILLIS);
    }

    @Override
    public void handleSourceEvent(int subtask, SourceEvent event) {
        LOG.info("Subtask {}: {}", subtask, event);
        if (event instanceof Messages.Owned) {
            book.owned(subtask, ((Messages.Owned) event).splits);
        } else if (event instanceof Messages.Parked) {
            book.parked(subtask, ((Messages.Parked) event).split);
        } else if (event instanceof Messages.Finished) {
            book.finished(subtask, ((Messages.Finished) event).split);
        } else {
            throw new IllegalStateException("message not known to this enumerator: " + event);
        }
    }

    @Override
    public void addReader(int subtask) {
        // A reader counts from its Owned message on, which follows its registration at once.
    }

    @Override
    public void handleSplitRequest(int subtask, String host) {
        // Readers do not ask: segments are handed out as they appear.
    }

    @Override
    public void addSplitsBack(List<SegmentSplit> splits, int subtask) {
        LOG.info(
                "Subtask {} goes back to its last checkpoint; assigned since: {}", subtask, splits);
        book.reset(subtask, splits);
    }

    @Override
    public EnumeratorState snapshotState(long checkpointId) {
        EnumeratorState state = book.snapshot(checkpointId);
        LOG.debug("Checkpoint {}: {}", checkpointId, state);
        return state;
    }

    @Override
    public void notifyCheckpointComplete(long checkpointId) {
        book.completed(checkpointId);
    }

    @Override
    public void close() {
        if (view != null) {
            view.close();
        }
    }

    private void onTick() {
        book.tick();
        for (Map.Entry<Long, Retry> question : new HashMap<>(questions).entrySet()) {
            Retry retry = question.getValue();
            if (!retry.asking && --retry.ticksLeft <= 0) {
                ask(question.getKey());
            }
        }
    }

    private void ask(long question) {
        Retry retry = questions.computeIfAbsent(question, q -> new Retry());
        if (retry.asking) {
            return;
        }
        retry.asking = true;
        if (question == THE_START) {
            ask(question, startAt == StartAt.EARLIEST ? view::head : view::tail, this::onStart);
        } else {
            ask(question, () -> view.successors(question), found -> onSuccessors(question, found));
        }
    }

    private <T> void ask(long question, Callable<T> call, Consumer<T> answer) {
        context.callAsync(
                call,
                (found, failure) -> {
                    if (failure == null) {
                        questions.remove(question);
                        answer.accept(found);
                        return;
                    }
                    Retry retry = questions.get(question);
                    retry.asking = false;
                    retry.waitTicks =
                            Math.min(LONGEST_WAIT_TICKS, Math.max(1, retry.waitTicks * 2));
                    retry.ticksLeft = retry.waitTicks;
                    LOG.warn(
                            "Controller gave no {} (asking again in {} s): {}",
                            question == THE_START
                                    ? "segments to start from"
                                    : "successors of " + SegmentSplit.describe(question),
                            retry.waitTicks * TICK_MILLIS / 1000,
                            failure.toString());
                });
    }

    private void onStart(Map<Long, Long> from) {
        LOG.info("Starting at {} of the stream: {} segments", startAt, from.size());
        book.begin(from);
    }

    private void onSuccessors(long segment, Map<Long, Set<Long>> found) {
        if (LOG.isInfoEnabled()) {
            Set<String> names = new HashSet<>();
            found.keySet().forEach(id -> names.add(SegmentSplit.describe(id)));
            LOG.info(
                    "Segment {} is read to its end; {}",
                    SegmentSplit.describe(segment),
                    found.isEmpty() ? "the stream is sealed here" : "successors " + names);
        }
        book.successors(segment, found);
    }

    private final class FlinkActions implements SegmentBook.Actions {

        @Override
        public boolean reachable(int subtask) {
            return context.registeredReaders().containsKey(subtask);
        }

        @Override
        public void assign(int subtask, SegmentSplit split) {
            LOG.info("Assigning {} to subtask {}", split, subtask);
            context.assignSplit(split, subtask);
        }

        @Override
        public void send(int subtask, SourceEvent message) {
            LOG.info("To subtask {}: {}", subtask, message);
            context.sendEventToSourceReader(subtask, message);
        }

        @Override
        public void findSuccessors(long segmentId) {
            ask(segmentId);
        }
    }
}
