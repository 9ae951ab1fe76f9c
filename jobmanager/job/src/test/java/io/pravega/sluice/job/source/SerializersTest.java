package io.pravega.sluice.job.source;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What checkpoints keep comes back as it was, and what is not understood is refused. */
class SerializersTest {

    private static final long SEGMENT = (7L << 32) | 3;

    private final SegmentSplitSerializer splits = new SegmentSplitSerializer();
    private final EnumeratorStateSerializer states = new EnumeratorStateSerializer();

    @ParameterizedTest
    @EnumSource(SegmentSplit.Status.class)
    void splitComesBackAsItWas(SegmentSplit.Status status) throws IOException {
        SegmentSplit split = new SegmentSplit(SEGMENT, 1L << 40, 12, status);
        assertEquals(split, splits.deserialize(splits.getVersion(), splits.serialize(split)));
    }

    @Test
    void enumeratorStateComesBackAsItWas() throws IOException {
        EnumeratorState state =
                new EnumeratorState(
                        true,
                        List.of(SegmentSplit.live(SEGMENT, 44, 2), SegmentSplit.live(1, 0, 1)),
                        List.of(5L, SEGMENT),
                        List.of(8L));
        assertEquals(state, states.deserialize(states.getVersion(), states.serialize(state)));
        EnumeratorState empty = EnumeratorState.empty();
        assertEquals(empty, states.deserialize(states.getVersion(), states.serialize(empty)));
    }

    /** Old checkpoints must stay readable: these bytes are what version 1 has always written. */
    @Test
    void versionOneOfASplitIsFixed() throws IOException {
        byte[] bytes = splits.serialize(new SegmentSplit(1, 2, 3, SegmentSplit.Status.PARKED));
        assertArrayEquals(
                new byte[] {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 2}, bytes);
    }

    @Test
    void unknownVersionIsRefused() throws IOException {
        byte[] split = splits.serialize(SegmentSplit.live(SEGMENT, 0, 1));
        IOException refusal =
                assertThrows(IOException.class, () -> splits.deserialize(2, split));
        assertTrue(refusal.getMessage().contains("version 2"), refusal.getMessage());
        byte[] state = states.serialize(EnumeratorState.empty());
        assertThrows(IOException.class, () -> states.deserialize(0, state));
    }

    @Test
    void bytesThatDoNotFitAreRefused() throws IOException {
        byte[] split = splits.serialize(SegmentSplit.live(SEGMENT, 0, 1));
        byte[] longer = Arrays.copyOf(split, split.length + 1);
        assertThrows(IOException.class, () -> splits.deserialize(1, longer));
        byte[] shorter = Arrays.copyOf(split, split.length - 1);
        assertThrows(IOException.class, () -> splits.deserialize(1, shorter));
        byte[] strange = split.clone();
        strange[strange.length - 1] = 9;
        assertThrows(IOException.class, () -> splits.deserialize(1, strange));
    }
}
