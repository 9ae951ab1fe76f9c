package io.pravega.sluice.job.source;

import java.io.IOException;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.core.memory.DataOutputView;

/** Splits as Flink's checkpoints keep them: fixed fields behind a version, nothing reflective. */
final class SegmentSplitSerializer implements SimpleVersionedSerializer<SegmentSplit> {

    private static final int VERSION = 1;
    /** Written as numbers of our own, so that reordering the enum cannot change old checkpoints. */
    private static final int LIVE = 1;

    private static final int PARKED = 2;
    private static final int FINISHED = 3;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(SegmentSplit split) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(24);
        write(split, out);
        return out.getCopyOfBuffer();
    }

    @Override
    public SegmentSplit deserialize(int version, byte[] bytes) throws IOException {
        refuseUnknown(version, VERSION, "split");
        DataInputDeserializer in = new DataInputDeserializer(bytes);
        SegmentSplit split = read(in);
        refuseRest(in, "split");
        return split;
    }

    static void write(SegmentSplit split, DataOutputView out) throws IOException {
        out.writeLong(split.segmentId());
        out.writeLong(split.offset());
        out.writeInt(split.generation());
        switch (split.status()) {
            case LIVE:
                out.writeByte(LIVE);
                break;
            case PARKED:
                out.writeByte(PARKED);
                break;
            default:
                out.writeByte(FINISHED);
        }
    }

    static SegmentSplit read(DataInputView in) throws IOException {
        long segmentId = in.readLong();
        long offset = in.readLong();
        int generation = in.readInt();
        int code = in.readByte();
        SegmentSplit.Status status;
        switch (code) {
            case LIVE:
                status = SegmentSplit.Status.LIVE;
                break;
            case PARKED:
                status = SegmentSplit.Status.PARKED;
                break;
            case FINISHED:
                status = SegmentSplit.Status.FINISHED;
                break;
            default:
                throw new IOException("Pravega source: split status " + code + " is not known");
        }
        return new SegmentSplit(segmentId, offset, generation, status);
    }

    /** A state written by a newer job must stop the restore, never be read by guess. */
    static void refuseUnknown(int version, int known, String what) throws IOException {
        if (version != known) {
            throw new IOException(
                    String.format(
                            "Pravega source: %s state has version %d, this job reads version %d; "
                                    + "restore it with the job version that wrote it",
                            what, version, known));
        }
    }

    /** Bytes left over mean that writer and reader disagree about the format. */
    static void refuseRest(DataInputDeserializer in, String what) throws IOException {
        if (in.available() > 0) {
            throw new IOException(
                    "Pravega source: " + what + " state has " + in.available() + " bytes too many");
        }
    }
}
