package io.pravega.sluice.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What measurements read. */
class TraceFileTest {

    private static final Clock NOW =
            Clock.fixed(Instant.parse("2026-01-02T03:04:05.678901234Z"), ZoneOffset.UTC);
    private static final long NOW_MICROS = 1_767_323_045_678_901L;

    private static byte[] bytes(String event) {
        return event.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void anEventIsInTheFileAtOnce(@TempDir Path folder) throws IOException {
        Path deeper = folder.resolve("not/there/yet");
        try (TraceFile trace = TraceFile.create(deeper, "0-a", NOW)) {
            trace.add(bytes("@4.17.1700000000000000\nACGT\n+\nAAAA\n"));
            trace.add(bytes("no event of ours"));
            trace.add(bytes("@4.18\nACGT.5\n+\nAAAA\n"));
            trace.add(bytes("@4.18.x\nACGT\n+\nAAAA\n"));
            assertEquals(
                    "4.17 1700000000000000 " + NOW_MICROS + "\n4.18 -1 " + NOW_MICROS + "\n",
                    Files.readString(deeper.resolve("0-a.trace")));
        }
    }

    @Test
    void noAttemptWritesIntoTheFileOfAnother(@TempDir Path folder) throws IOException {
        try (TraceFile first = TraceFile.create(folder, "0-a", NOW)) {
            first.add(bytes("@1.0.5\n\n+\n\n"));
            assertThrows(
                    FileAlreadyExistsException.class, () -> TraceFile.create(folder, "0-a", NOW));
            assertEquals("1.0 5 " + NOW_MICROS + "\n", Files.readString(folder.resolve("0-a.trace")));
        }
    }
}
