package io.pravega.sluice.job;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Writes down when each event has come through the busy operator, for measurements: how long the
 * output was silent, and what a restart read again.
 *
 * <p>Unlike the {@link Ledger} it is not exactly-once, on purpose. Every attempt of every subtask
 * has a file of its own, and an event is in it as soon as it was seen, whatever becomes of the
 * attempt. The events themselves pass unchanged.
 */
final class Trace extends RichMapFunction<byte[], byte[]> implements CheckpointedFunction {

    private static final long serialVersionUID = 1L;

    private final String folder;

    private transient TraceFile file;

    private Trace(String folder) {
        this.folder = folder;
    }

    static DataStream<byte[]> of(DataStream<byte[]> events, String folder) {
        return events.map(new Trace(folder))
                .returns(PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
                .name("trace")
                .uid("trace");
    }

    /** Like the busy operator's: called before the first event, the same way by all versions. */
    @Override
    public void initializeState(FunctionInitializationContext context) throws IOException {
        Map<String, String> names = getRuntimeContext().getMetricGroup().getAllVariables();
        String subtask = names.getOrDefault("<subtask_index>", "0");
        String attempt = names.getOrDefault("<task_attempt_id>", "0");
        file = TraceFile.create(Path.of(folder), subtask + "-" + attempt);
    }

    @Override
    public void snapshotState(FunctionSnapshotContext context) {}

    @Override
    public byte[] map(byte[] event) throws IOException {
        file.add(event);
        return event;
    }

    @Override
    public void close() throws IOException {
        if (file != null) {
            file.close();
        }
    }
}
