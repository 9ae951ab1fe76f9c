package io.pravega.sluice.job.source;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The I/O thread of one reader: tails all its segments in turn into the {@link HandoverQueue}.
 *
 * <p>It sleeps on one semaphore, and everything that could give it work releases that: data for a
 * segment, room in the queue, a segment added or removed. So it neither spins nor blocks on one
 * segment while another has data.
 */
final class SegmentFetcher implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(SegmentFetcher.class);

    /** Bytes fetched ahead of the task thread; only the client's own read-ahead comes on top. */
    private static final int QUEUE_BYTES = 512 * 1024;

    private static final long CLOSE_TIMEOUT_MILLIS = 5000;

    private final SegmentTail.Opener opener;
    private final Backlog backlog;
    private final Runnable onError;
    private final Semaphore wake = new Semaphore(0);
    private final HandoverQueue queue = new HandoverQueue(QUEUE_BYTES, this::wakeUp);
    private final Queue<Runnable> commands = new ConcurrentLinkedQueue<>();
    private final Map<String, SegmentCursor> cursors = new LinkedHashMap<>();
    private final Thread thread;
    private volatile boolean closed;
    private volatile Throwable failure;

    /**
     * @param name of the thread
     * @param backlog kept up to date from this thread
     * @param onError counts failed reads; called on the I/O thread
     */
    SegmentFetcher(String name, SegmentTail.Opener opener, Backlog backlog, Runnable onError) {
        this.opener = opener;
        this.backlog = backlog;
        this.onError = onError;
        thread = new Thread(this::run, name);
        thread.setDaemon(true);
        // The thread's own context class loader is Flink's; the client looks for services there.
        thread.setContextClassLoader(SegmentFetcher.class.getClassLoader());
    }

    void start() {
        thread.start();
    }

    /** Throws what ended the I/O thread, if anything has: a reader without it must not live on. */
    void checkAlive() {
        if (failure != null) {
            throw new IllegalStateException("the source's I/O thread has ended", failure);
        }
    }

    HandoverQueue queue() {
        return queue;
    }

    void add(SegmentSplit split) {
        command(
                () ->
                        cursors.put(
                                split.splitId(),
                                new SegmentCursor(split, opener, this::wakeUp, onError)));
    }

    /** Stops reading; what is in the queue already stays there. */
    void remove(SegmentSplit split) {
        command(
                () -> {
                    SegmentCursor cursor = cursors.remove(split.splitId());
                    if (cursor != null) {
                        cursor.close();
                        backlog.forget(cursor.segmentId());
                    }
                });
    }

    /** Ends the thread; waits for it a few seconds at most. */
    @Override
    public void close() {
        closed = true;
        wakeUp();
        thread.interrupt(); // it may be waiting for the rest of an event
        try {
            thread.join(CLOSE_TIMEOUT_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void command(Runnable command) {
        commands.add(command);
        wakeUp();
    }

    private void wakeUp() {
        wake.release();
    }

    private void run() {
        try {
            while (!closed) {
                wake.drainPermits(); // before looking, so that no signal is lost
                for (Runnable command; (command = commands.poll()) != null; ) {
                    command.run();
                }
                long sleep = round(System.nanoTime() / 1_000_000);
                if (sleep > 0) {
                    wake.tryAcquire(sleep, TimeUnit.MILLISECONDS);
                }
            }
        } catch (InterruptedException e) {
            LOG.debug("{} interrupted", thread.getName());
        } catch (RuntimeException | Error e) {
            failure = e;
            queue.wakeUp();
        } finally {
            cursors.values().forEach(SegmentCursor::close);
        }
    }

    /**
     * One turn for each segment.
     *
     * @return milliseconds to sleep, 0 if there may be more at once
     */
    private long round(long now) {
        backlog.refresh(now, cursors.values());
        boolean progress = false;
        long sleep = Backlog.REFRESH_MILLIS;
        List<String> served = new ArrayList<>();
        Iterator<Map.Entry<String, SegmentCursor>> turn = cursors.entrySet().iterator();
        while (turn.hasNext() && queue.hasRoom()) { // the queue signals when it has room again
            Map.Entry<String, SegmentCursor> next = turn.next();
            SegmentCursor cursor = next.getValue();
            Fetched fetched = cursor.advance(now);
            if (fetched != null) {
                queue.put(fetched);
                progress = true;
            }
            if (cursor.done()) {
                turn.remove();
                backlog.forget(cursor.segmentId());
                continue;
            }
            served.add(next.getKey());
            long pause = cursor.pauseMillis(now);
            if (pause > 0) {
                sleep = Math.min(sleep, pause);
            }
        }
        // Who has had a turn goes to the back, so that a full queue does not starve the others.
        for (String splitId : served) {
            cursors.put(splitId, cursors.remove(splitId));
        }
        return progress && queue.hasRoom() ? 0 : sleep;
    }
}
