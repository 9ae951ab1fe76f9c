/**
 * A FLIP-27 source that tails a Pravega stream: one split per segment, positions only in Flink's
 * checkpoints, successors read only after all their predecessors.
 *
 * <p>Read in this order: {@link io.pravega.sluice.job.source.SegmentSplit} (what moves between the
 * parts), {@link io.pravega.sluice.job.source.SegmentBook} (who reads which segment, and why no
 * checkpoint can lose or repeat one), {@link io.pravega.sluice.job.source.PravegaEnumerator} (the
 * book wired to Flink and to the Pravega controller), {@link
 * io.pravega.sluice.job.source.PravegaReader} (one subtask) and {@link
 * io.pravega.sluice.job.source.SegmentFetcher} (its I/O thread).
 */
package io.pravega.sluice.job.source;
