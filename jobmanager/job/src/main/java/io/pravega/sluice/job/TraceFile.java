package io.pravega.sluice.job;

import java.io.Closeable;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.time.Instant;

/**
 * One file of a {@link Trace}: a line {@code writer.sequence intended_us seen_us} per event, both
 * times in microseconds since the epoch.
 *
 * <p>Each line is one write to the system and nothing is kept back, so that a killed process leaves
 * behind all that it has seen.
 */
final class TraceFile implements Closeable {

    private final OutputStream out;
    private final Clock clock;

    private TraceFile(OutputStream out, Clock clock) {
        this.out = out;
        this.clock = clock;
    }

    static TraceFile create(Path folder, String name) throws IOException {
        return create(folder, name, Clock.systemUTC());
    }

    /** Makes the folder where it is missing. The name must be new. */
    static TraceFile create(Path folder, String name, Clock clock) throws IOException {
        Files.createDirectories(folder);
        Path file = folder.resolve(name + ".trace");
        return new TraceFile(
                Files.newOutputStream(file, StandardOpenOption.CREATE_NEW), clock);
    }

    /** Adds an event; what has no id is left out. */
    void add(byte[] event) throws IOException {
        long[] id = Dna.id(event);
        if (id == null) {
            return;
        }
        Instant now = clock.instant();
        long seen = now.getEpochSecond() * 1_000_000 + now.getNano() / 1_000;
        String line = id[0] + "." + id[1] + " " + Dna.intendedMicros(event) + " " + seen + "\n";
        out.write(line.getBytes(StandardCharsets.US_ASCII));
    }

    @Override
    public void close() throws IOException {
        out.close();
    }
}
