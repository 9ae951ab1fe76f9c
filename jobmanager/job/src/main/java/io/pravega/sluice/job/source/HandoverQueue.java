package io.pravega.sluice.job.source;

import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;

/**
 * The bounded queue from the I/O thread to the task thread.
 *
 * <p>Neither side ever blocks on it: the I/O thread looks for room before it reads and sleeps on
 * its own signal, the task thread gets a future from Flink's availability protocol.
 */
final class HandoverQueue {

    private static final CompletableFuture<Void> AVAILABLE =
            CompletableFuture.completedFuture(null);

    private final ArrayDeque<Fetched> queue = new ArrayDeque<>();
    private final int maxBytes;
    private final Runnable onRoom;
    private int bytes;
    private CompletableFuture<Void> waiting = new CompletableFuture<>();

    /**
     * @param maxBytes no more is read while this many bytes of payload are queued
     * @param onRoom called on the task thread when a full queue has room again
     */
    HandoverQueue(int maxBytes, Runnable onRoom) {
        this.maxBytes = maxBytes;
        this.onRoom = onRoom;
    }

    synchronized boolean hasRoom() {
        return bytes < maxBytes;
    }

    void put(Fetched fetched) {
        CompletableFuture<Void> wake;
        synchronized (this) {
            queue.add(fetched);
            bytes += fetched.bytes;
            wake = waiting;
        }
        wake.complete(null); // outside the lock: it runs Flink's mailbox code
    }

    /** The next item, or null. */
    Fetched poll() {
        Fetched fetched;
        boolean roomAgain;
        synchronized (this) {
            fetched = queue.poll();
            if (fetched == null) {
                return null;
            }
            boolean full = bytes >= maxBytes;
            bytes -= fetched.bytes;
            roomAgain = full && bytes < maxBytes;
        }
        if (roomAgain) {
            onRoom.run();
        }
        return fetched;
    }

    /** Completes when {@link #poll} has something, or when {@link #wakeUp} is called. */
    synchronized CompletableFuture<Void> available() {
        if (!queue.isEmpty()) {
            return AVAILABLE;
        }
        if (waiting.isDone()) {
            waiting = new CompletableFuture<>();
        }
        return waiting;
    }

    /** Has the task thread look in without an item. */
    void wakeUp() {
        CompletableFuture<Void> wake;
        synchronized (this) {
            wake = waiting;
        }
        wake.complete(null);
    }
}
