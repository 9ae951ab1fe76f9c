package io.pravega.sluice.job;

import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Meter;
import org.apache.flink.metrics.MeterView;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The busy operator: counts the bases A, C, G and T of each event as often as it was told to, so
 * that one subtask has a limit that a test can set.
 *
 * <p>It is a {@link CheckpointedFunction} only for {@link #initializeState}, which all Flink
 * versions call the same way before the first event; {@code open} takes other arguments in 2.x.
 */
final class CountBases extends RichMapFunction<byte[], byte[]> implements CheckpointedFunction {

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(CountBases.class);
    private static final long LOG_INTERVAL_NANOS = 10_000_000_000L;
    private static final int METER_SECONDS = 10;

    private final long iterations;

    private transient Counter[] perBase;
    private transient Meter meter;
    private transient String subtask;
    private transient long loggedAt;
    private transient long eventsSinceLog;

    /** Takes in the result of every iteration, or the compiler would do the work once. */
    private transient long notOptimizedAway;

    CountBases(long iterations) {
        this.iterations = iterations;
    }

    @Override
    public void initializeState(FunctionInitializationContext context) {
        MetricGroup metrics = getRuntimeContext().getMetricGroup();
        Counter events = metrics.counter("events");
        meter = metrics.meter("eventsPerSecond", new MeterView(events, METER_SECONDS));
        perBase =
                new Counter[] {
                    metrics.counter("basesA"),
                    metrics.counter("basesC"),
                    metrics.counter("basesG"),
                    metrics.counter("basesT")
                };
        subtask = metrics.getAllVariables().getOrDefault("<subtask_index>", "?");
        loggedAt = System.nanoTime();
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) {}

    @Override
    public byte[] map(byte[] event) {
        long[] counts = new long[4];
        for (long i = 0; i < iterations; i++) {
            counts = Dna.countBases(event);
            notOptimizedAway += (counts[0] ^ counts[1] ^ counts[2] ^ counts[3]) + i;
        }
        for (int base = 0; base < counts.length; base++) {
            perBase[base].inc(counts[base]);
        }
        meter.markEvent();
        eventsSinceLog++;
        long now = System.nanoTime();
        if (now - loggedAt >= LOG_INTERVAL_NANOS) {
            logThroughput(now);
        }
        return event;
    }

    private void logThroughput(long now) {
        LOG.info(
                "Subtask {}: {} events/s over {} s; bases so far A {} C {} G {} T {} ({})",
                subtask,
                Math.round(eventsSinceLog * 1e9 / (now - loggedAt)),
                Math.round((now - loggedAt) / 1e9),
                perBase[0].getCount(),
                perBase[1].getCount(),
                perBase[2].getCount(),
                perBase[3].getCount(),
                Long.toHexString(notOptimizedAway));
        loggedAt = now;
        eventsSinceLog = 0;
    }
}
