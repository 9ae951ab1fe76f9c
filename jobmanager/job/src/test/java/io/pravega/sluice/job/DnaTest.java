package io.pravega.sluice.job;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The event format. */
class DnaTest {

    private static byte[] bytes(String event) {
        return event.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void onlyTheBasesLineIsCounted() {
        byte[] event = bytes("@4.17.1700000000000000\nACGTTTAN\n+\nAAAAAAAA\n");
        assertArrayEquals(new long[] {2, 1, 1, 3}, Dna.countBases(event));
        assertArrayEquals(new long[] {4, 17}, Dna.id(event));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "", "@", "@1", "@1.2", "@1.x.3\n", "1.2.3\n", "@.2.3\n", "@1..3\n",
                "@1.99999999999999999999.3\n", "@1\n.2.3\n"
            })
    void whatHasNoIdIsNotGivenOne(String event) {
        assertNull(Dna.id(bytes(event)));
        Dna.countBases(bytes(event));
    }

    @Test
    void largestIds() {
        assertArrayEquals(
                new long[] {4294967295L, Long.MAX_VALUE},
                Dna.id(bytes("@4294967295.9223372036854775807.0\n\n+\n\n")));
    }
}
