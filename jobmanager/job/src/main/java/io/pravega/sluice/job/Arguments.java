package io.pravega.sluice.job;

import io.pravega.sluice.job.source.PravegaAddress;
import io.pravega.sluice.job.source.StartAt;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** The job's parameters, checked once at the start; whatever is wrong is one line naming it. */
final class Arguments {

    static final String USAGE =
            "--controller tcp://HOST:PORT[,HOST:PORT] --scope NAME --stream NAME"
                    + " [--iterations N] [--start earliest|latest] [--ledger DIR] [--trace DIR]"
                    + " [--tls-trust-store PEM] [--username NAME --password-file FILE]";

    private static final Set<String> KNOWN =
            new TreeSet<>(
                    Set.of(
                            "controller",
                            "scope",
                            "stream",
                            "iterations",
                            "start",
                            "ledger",
                            "trace",
                            "tls-trust-store",
                            "username",
                            "password-file"));

    private static final Set<String> SCHEMES = Set.of("tcp", "tls", "ssl", "pravega", "pravegas");
    private static final Set<String> TLS_SCHEMES = Set.of("tls", "ssl", "pravegas");

    /** A parameter that cannot be used; the message names it and what was seen. */
    static final class BadArgument extends Exception {
        private static final long serialVersionUID = 1L;

        BadArgument(String message) {
            super(message);
        }
    }

    private final Map<String, String> given;
    private final long iterations;
    private final StartAt startAt;

    private Arguments(Map<String, String> given) throws BadArgument {
        this.given = given;
        checkController(required("controller"));
        required("scope");
        required("stream");
        iterations = parseIterations(given.getOrDefault("iterations", "1"));
        startAt = parseStart(given.getOrDefault("start", "earliest"));
        checkLedger();
        checkReadable("tls-trust-store");
        checkReadable("password-file");
        if (given.containsKey("username") != given.containsKey("password-file")) {
            throw new BadArgument("--username and --password-file must be given together");
        }
        if (given.containsKey("tls-trust-store") && !TLS_SCHEMES.contains(scheme())) {
            throw new BadArgument(
                    "--tls-trust-store is given but --controller is not tls://: "
                            + given.get("controller"));
        }
    }

    /** Reads {@code --name value} and {@code --name=value}. */
    static Arguments parse(String[] args) throws BadArgument {
        Map<String, String> given = new HashMap<>();
        for (int i = 0; i < args.length; i++) {
            String arg = args[i];
            if (!arg.startsWith("--")) {
                throw new BadArgument("expected a --parameter, got '" + arg + "'; usage: " + USAGE);
            }
            int equals = arg.indexOf('=');
            String name = equals < 0 ? arg.substring(2) : arg.substring(2, equals);
            if (!KNOWN.contains(name)) {
                throw new BadArgument("--" + name + " is not a parameter; usage: " + USAGE);
            }
            String value;
            if (equals >= 0) {
                value = arg.substring(equals + 1);
            } else if (i + 1 < args.length && !args[i + 1].startsWith("--")) {
                value = args[++i];
            } else {
                throw new BadArgument("--" + name + " has no value");
            }
            if (value.isBlank()) {
                throw new BadArgument("--" + name + " is empty");
            }
            if (given.put(name, value) != null) {
                throw new BadArgument("--" + name + " is given twice");
            }
        }
        return new Arguments(given);
    }

    PravegaAddress address() {
        return new PravegaAddress(
                given.get("controller"),
                scope(),
                stream(),
                given.get("tls-trust-store"),
                given.get("username"),
                given.get("password-file"));
    }

    String scope() {
        return given.get("scope");
    }

    String stream() {
        return given.get("stream");
    }

    /** How often the bases of an event are counted. */
    long iterations() {
        return iterations;
    }

    StartAt startAt() {
        return startAt;
    }

    /** Folder of the proof files as a URI, or null for none. */
    URI ledger() {
        String ledger = given.get("ledger");
        if (ledger == null) {
            return null;
        }
        URI uri = URI.create(ledger);
        return uri.getScheme() == null ? Path.of(ledger).toAbsolutePath().toUri() : uri;
    }

    /** Local folder of the trace files, or null for none. */
    String trace() {
        String trace = given.get("trace");
        return trace == null ? null : Path.of(trace).toAbsolutePath().toString();
    }

    private String required(String name) throws BadArgument {
        String value = given.get(name);
        if (value == null) {
            throw new BadArgument("--" + name + " is missing; usage: " + USAGE);
        }
        return value;
    }

    private String scheme() {
        String controller = given.get("controller");
        int end = controller.indexOf("://");
        return end < 0 ? "" : controller.substring(0, end);
    }

    private void checkController(String controller) throws BadArgument {
        if (!SCHEMES.contains(scheme())) {
            throw new BadArgument(
                    "--controller must start with tcp:// or tls://, got '" + controller + "'");
        }
        for (String address : controller.substring(scheme().length() + 3).split(",", -1)) {
            int colon = address.lastIndexOf(':');
            int port;
            try {
                port = Integer.parseInt(address.substring(colon + 1));
            } catch (NumberFormatException e) {
                port = -1;
            }
            if (colon < 1 || port < 1 || port > 65535) {
                throw new BadArgument(
                        "--controller needs host:port for each address, got '" + address + "'");
            }
        }
    }

    private static long parseIterations(String value) throws BadArgument {
        try {
            long iterations = Long.parseLong(value);
            if (iterations >= 1) {
                return iterations;
            }
        } catch (NumberFormatException e) {
            // reported below, like any other value out of range
        }
        throw new BadArgument("--iterations must be a whole number from 1 on, got '" + value + "'");
    }

    private static StartAt parseStart(String value) throws BadArgument {
        switch (value) {
            case "earliest":
                return StartAt.EARLIEST;
            case "latest":
                return StartAt.LATEST;
            default:
                throw new BadArgument("--start must be earliest or latest, got '" + value + "'");
        }
    }

    private void checkLedger() throws BadArgument {
        try {
            ledger();
        } catch (IllegalArgumentException e) {
            throw new BadArgument("--ledger is not a folder or URI: " + e.getMessage());
        }
    }

    private void checkReadable(String name) throws BadArgument {
        String file = given.get(name);
        if (file != null && !Files.isReadable(Path.of(file))) {
            throw new BadArgument("--" + name + ": cannot read the file '" + file + "'");
        }
    }
}
