package io.pravega.sluice.job.source;

import io.pravega.client.ClientConfig;
import io.pravega.shared.security.auth.DefaultCredentials;
import java.io.IOException;
import java.io.Serializable;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;

/**
 * Where the stream is and how to get in.
 *
 * <p>It holds the <em>paths</em> of the trust store and of the password file, not their contents:
 * the object is part of the job graph, which Flink stores and shows, and a secret must not be. Each
 * JobManager and TaskManager reads the files at the same path on its own disk.
 */
public final class PravegaAddress implements Serializable {

    private static final long serialVersionUID = 1L;

    private final String controller;
    private final String scope;
    private final String stream;
    private final String trustStore;
    private final String username;
    private final String passwordFile;

    /**
     * @param controller {@code tcp://host:port[,host:port]}, or {@code tls://…} for TLS to
     *     controller and segment store
     * @param scope the stream's scope
     * @param stream the stream's name
     * @param trustStore path of a PEM file with the signing certificate, or null for the JVM's own
     * @param username name for basic authentication, or null for none
     * @param passwordFile path of a file with that user's password, or null for none
     */
    public PravegaAddress(
            String controller,
            String scope,
            String stream,
            String trustStore,
            String username,
            String passwordFile) {
        this.controller = Objects.requireNonNull(controller);
        this.scope = Objects.requireNonNull(scope);
        this.stream = Objects.requireNonNull(stream);
        this.trustStore = trustStore;
        this.username = username;
        this.passwordFile = passwordFile;
    }

    String scope() {
        return scope;
    }

    String stream() {
        return stream;
    }

    /** What Pravega's client wants to know; reads the password file. */
    ClientConfig clientConfig() throws IOException {
        ClientConfig.ClientConfigBuilder config =
                ClientConfig.builder()
                        .controllerURI(URI.create(controller))
                        // Flows of many segments share a connection; more only cost threads.
                        .maxConnectionsPerSegmentStore(2)
                        .connectTimeoutMilliSec(10_000);
        if (trustStore != null) {
            config.trustStore(trustStore);
        }
        if (username != null) {
            config.credentials(new DefaultCredentials(password(), username));
        }
        return config.build();
    }

    private String password() throws IOException {
        try {
            return Files.readString(Path.of(passwordFile)).strip();
        } catch (IOException e) {
            throw new IOException("password file " + passwordFile + " cannot be read: " + e, e);
        }
    }

    @Override
    public boolean equals(Object other) {
        if (!(other instanceof PravegaAddress)) {
            return false;
        }
        PravegaAddress that = (PravegaAddress) other;
        return controller.equals(that.controller)
                && scope.equals(that.scope)
                && stream.equals(that.stream)
                && Objects.equals(trustStore, that.trustStore)
                && Objects.equals(username, that.username)
                && Objects.equals(passwordFile, that.passwordFile);
    }

    @Override
    public int hashCode() {
        return Objects.hash(controller, scope, stream, trustStore, username, passwordFile);
    }

    @Override
    public String toString() {
        return scope + "/" + stream + " at " + controller;
    }
}
