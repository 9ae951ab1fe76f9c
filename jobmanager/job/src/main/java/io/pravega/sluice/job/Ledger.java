package io.pravega.sluice.job;

import java.net.URI;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.core.fs.Path;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.BasePathBucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.OnCheckpointRollingPolicy;

/**
 * The proof that tests read: files with one line per event, committed exactly once.
 *
 * <p>A line is the event's id, {@code writer.sequence}, or {@code dup writer.sequence} if Flink's
 * keyed state had counted that id already. Ids missing from the committed files are lost, ids in
 * them twice without {@code dup} were committed twice; both must be none.
 *
 * <p>Only this class needs flink-connector-files, and only a job with {@code --ledger} loads it.
 */
final class Ledger {

    /** Ids whose bits share one entry of keyed state. */
    static final long BLOCK = 1024;

    private Ledger() {}

    static void write(DataStream<byte[]> events, URI folder) {
        events.flatMap(new ParseId())
                .returns(Types.TUPLE(Types.LONG, Types.LONG))
                .name("event-id")
                .uid("event-id")
                .keyBy(new ByBlock(), Types.TUPLE(Types.LONG, Types.LONG))
                .flatMap(new FirstSeen())
                .returns(Types.STRING)
                .name("first-seen")
                .uid("first-seen")
                .sinkTo(
                        FileSink.forRowFormat(
                                        new Path(folder), new SimpleStringEncoder<String>("UTF-8"))
                                .withBucketAssigner(new BasePathBucketAssigner<>())
                                .withRollingPolicy(OnCheckpointRollingPolicy.build())
                                .build())
                .name("ledger")
                .uid("ledger");
    }

    /** All ids of a block go to one subtask and one bitmap. */
    static final class ByBlock implements KeySelector<Tuple2<Long, Long>, Tuple2<Long, Long>> {
        private static final long serialVersionUID = 1L;

        @Override
        public Tuple2<Long, Long> getKey(Tuple2<Long, Long> id) {
            return Tuple2.of(id.f0, id.f1 / BLOCK);
        }
    }
}
