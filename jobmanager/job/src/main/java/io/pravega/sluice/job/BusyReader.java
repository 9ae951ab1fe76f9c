package io.pravega.sluice.job;

import io.pravega.sluice.job.source.PravegaSource;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * The job: Pravega source, then the busy operator, then nothing.
 *
 * <p>It sets no parallelism, no checkpoint interval and no restart strategy. Parallelism belongs to
 * the cluster (reactive) or to {@code parallelism.default} and the agent (adaptive), the rest to
 * Flink's configuration. Every operator has a uid, so that savepoints outlive a change of the job.
 */
public final class BusyReader {

    private BusyReader() {}

    /**
     * @param args see {@link Arguments#USAGE}
     */
    public static void main(String[] args) throws Exception {
        Arguments arguments;
        try {
            arguments = Arguments.parse(args);
        } catch (Arguments.BadArgument e) {
            System.err.println("busy-reader: " + e.getMessage());
            System.exit(1);
            return;
        }
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        DataStream<byte[]> counted =
                env.fromSource(
                                new PravegaSource(arguments.address(), arguments.startAt()),
                                WatermarkStrategy.noWatermarks(),
                                "pravega",
                                PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
                        .uid("pravega")
                        .map(new CountBases(arguments.iterations()))
                        .returns(PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
                        .name("count-bases")
                        .uid("count-bases");
        if (arguments.trace() != null) {
            counted = Trace.of(counted, arguments.trace());
        }
        if (arguments.ledger() != null) {
            Ledger.write(counted, arguments.ledger());
        }
        env.execute("busy-reader " + arguments.scope() + "/" + arguments.stream());
    }
}
