package io.pravega.sluice.job;

import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.util.Collector;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Takes an event's id from its first line; what has none is not ours and is left out. */
final class ParseId implements FlatMapFunction<byte[], Tuple2<Long, Long>> {

    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(ParseId.class);

    @Override
    public void flatMap(byte[] event, Collector<Tuple2<Long, Long>> out) {
        long[] id = Dna.id(event);
        if (id == null) {
            LOG.warn("An event of {} bytes has no id in its first line: left out", event.length);
            return;
        }
        out.collect(Tuple2.of(id[0], id[1]));
    }
}
