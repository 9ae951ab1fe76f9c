package io.pravega.sluice.job;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.pravega.sluice.job.source.StartAt;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Good parameters are taken, bad ones named in one line. */
class ArgumentsTest {

    private static final String GOOD = "--controller tcp://a:1,b:2 --scope s --stream t";

    private static Arguments parse(String line) throws Arguments.BadArgument {
        return Arguments.parse(line.split(" "));
    }

    @Test
    void defaults() throws Exception {
        Arguments arguments = parse(GOOD);
        assertEquals(1, arguments.iterations());
        assertEquals(StartAt.EARLIEST, arguments.startAt());
        assertNull(arguments.ledger());
        assertNull(arguments.trace());
        assertEquals("s/t at tcp://a:1,b:2", arguments.address().toString());
    }

    @Test
    void bothSpellingsOfAValue() throws Exception {
        Arguments arguments = parse(GOOD + " --iterations=7 --start latest --ledger=/tmp/proof --trace /tmp/t");
        assertEquals(7, arguments.iterations());
        assertEquals(StartAt.LATEST, arguments.startAt());
        assertEquals("/tmp/t", arguments.trace());
        assertEquals("file:///tmp/proof", arguments.ledger().toString().replaceAll("/$", ""));
        assertEquals(
                "hdfs://x/y", parse(GOOD + " --ledger hdfs://x/y").ledger().toString());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "--scope s --stream t | --controller is missing",
                "--controller a:1 --scope s --stream t | --controller must start with tcp://",
                "--controller tcp://a --scope s --stream t | --controller needs host:port",
                "--controller tcp://a:1,b --scope s --stream t | got 'b'",
                "--controller tcp://a:99999 --scope s --stream t | got 'a:99999'",
                "--controller tcp://a:1 --stream t | --scope is missing",
                "--controller tcp://a:1 --scope s | --stream is missing",
                "--controller tcp://a:1 --scope s --stream | --stream has no value",
                "--controller tcp://a:1 --scope s --stream t --iterations 0 | --iterations must be",
                "--controller tcp://a:1 --scope s --stream t --iterations x | got 'x'",
                "--controller tcp://a:1 --scope s --stream t --start now | --start must be",
                "--controller tcp://a:1 --scope s --stream t --speed 9 | --speed is not a",
                "--controller tcp://a:1 --scope s --stream t --scope u | --scope is given twice",
                "--controller tcp://a:1 --scope s --stream t --username u | given together",
                "--controller tls://a:1 --scope s --stream t --tls-trust-store /no | cannot read",
                "--controller tcp://a:1 --scope s --stream t extra | got 'extra'",
            })
    void badParameterIsNamed(String line, String expected) {
        Arguments.BadArgument refusal =
                assertThrows(Arguments.BadArgument.class, () -> parse(line));
        assertTrue(refusal.getMessage().contains(expected), refusal.getMessage());
        assertFalse(refusal.getMessage().contains("\n"));
    }

    @Test
    void trustStoreNeedsATlsAddress(@TempDir Path folder) throws IOException {
        Path pem = Files.writeString(folder.resolve("ca.pem"), "x");
        Arguments.BadArgument refusal =
                assertThrows(
                        Arguments.BadArgument.class,
                        () -> parse(GOOD + " --tls-trust-store " + pem));
        assertTrue(refusal.getMessage().contains("--controller is not tls://"));
    }
}
