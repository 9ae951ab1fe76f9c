package io.pravega.sluice.job.source;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;

/** The enumerator's state as Flink's checkpoints keep it: counted lists behind a version. */
final class EnumeratorStateSerializer implements SimpleVersionedSerializer<EnumeratorState> {

    private static final int VERSION = 1;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(EnumeratorState state) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(256);
        out.writeBoolean(state.started);
        out.writeInt(state.unassigned.size());
        for (SegmentSplit split : state.unassigned) {
            SegmentSplitSerializer.write(split, out);
        }
        writeIds(state.finished, out);
        writeIds(state.startedSuccessors, out);
        return out.getCopyOfBuffer();
    }

    @Override
    public EnumeratorState deserialize(int version, byte[] bytes) throws IOException {
        SegmentSplitSerializer.refuseUnknown(version, VERSION, "enumerator");
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        boolean started = in.readBoolean();
        List<SegmentSplit> unassigned = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            unassigned.add(SegmentSplitSerializer.read(in));
        }
        List<Long> finished = readIds(in);
        List<Long> startedSuccessors = readIds(in);
        SegmentSplitSerializer.refuseRest(in, "enumerator");
        return new EnumeratorState(started, unassigned, finished, startedSuccessors);
    }

    private static void writeIds(List<Long> ids, DataOutputSerializer out) throws IOException {
        out.writeInt(ids.size());
        for (long id : ids) {
            out.writeLong(id);
        }
    }

    private static List<Long> readIds(DataInputDeserializer in) throws IOException {
        List<Long> ids = new ArrayList<>();
        for (int left = in.readInt(); left > 0; left--) {
            ids.add(in.readLong());
        }
        return ids;
    }
}
