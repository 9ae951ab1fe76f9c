package io.pravega.sluice.job;

import org.apache.flink.api.common.functions.RichFlatMapFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.util.Collector;

/** Remembers each id in keyed state, one bit each, and says when one comes again. */
final class FirstSeen extends RichFlatMapFunction<Tuple2<Long, Long>, String>
        implements CheckpointedFunction {

    private static final long serialVersionUID = 1L;

    private transient ValueState<long[]> seen;
    private transient Counter duplicates;

    @Override
    public void initializeState(FunctionInitializationContext context) {
        seen =
                context.getKeyedStateStore()
                        .getState(
                                new ValueStateDescriptor<>(
                                        "seen",
                                        PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO));
        duplicates = getRuntimeContext().getMetricGroup().counter("duplicates");
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) {}

    @Override
    public void flatMap(Tuple2<Long, Long> id, Collector<String> out) throws Exception {
        long[] before = seen.value();
        // A copy, because a snapshot in progress may still be writing the array that it got.
        long[] bits = before == null ? new long[(int) (Ledger.BLOCK / Long.SIZE)] : before.clone();
        int bit = (int) (id.f1 % Ledger.BLOCK);
        long mask = 1L << (bit % Long.SIZE);
        String name = id.f0 + "." + id.f1;
        if ((bits[bit / Long.SIZE] & mask) != 0) {
            duplicates.inc();
            out.collect("dup " + name);
            return;
        }
        bits[bit / Long.SIZE] |= mask;
        seen.update(bits);
        out.collect(name);
    }
}
