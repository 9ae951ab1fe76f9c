/**
 * The busy reader: a Flink job that reads a Pravega stream of DNA events and burns CPU on each.
 *
 * <p>{@link io.pravega.sluice.job.BusyReader} puts the job together, {@link
 * io.pravega.sluice.job.CountBases} is the work. Only tests ask for {@link
 * io.pravega.sluice.job.Ledger}, the proof of exactly-once, and {@link
 * io.pravega.sluice.job.Trace}, the times of the output. The source is in {@link
 * io.pravega.sluice.job.source}.
 */
package io.pravega.sluice.job;
