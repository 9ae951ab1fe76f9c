package io.pravega.sluice.job.source;

/** Where a job without a checkpoint begins in the stream. */
public enum StartAt {
    /** The oldest events that the stream still has. */
    EARLIEST,
    /** Events written from now on. */
    LATEST
}
