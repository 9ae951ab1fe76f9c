package io.pravega.sluice.job.source;

import io.pravega.client.ClientConfig;
import io.pravega.client.connection.impl.ConnectionPool;
import io.pravega.client.connection.impl.ConnectionPoolImpl;
import io.pravega.client.connection.impl.SocketConnectionFactoryImpl;
import io.pravega.client.control.impl.Controller;
import io.pravega.client.control.impl.ControllerImpl;
import io.pravega.client.control.impl.ControllerImplConfig;
import io.pravega.client.security.auth.DelegationTokenProvider;
import io.pravega.client.security.auth.DelegationTokenProviderFactory;
import io.pravega.client.segment.impl.Segment;
import io.pravega.client.segment.impl.SegmentInputStreamFactory;
import io.pravega.client.segment.impl.SegmentInputStreamFactoryImpl;
import io.pravega.client.segment.impl.SegmentMetadataClient;
import io.pravega.client.segment.impl.SegmentMetadataClientFactoryImpl;
import io.pravega.shared.security.auth.AccessOperation;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/**
 * One Pravega client for all readers of a JVM, counted: the first user opens it, the last one
 * closes it. A TaskManager with several slots then has one thread pool and one pair of connections
 * instead of one per subtask, which matters in a process of 264 MB.
 */
final class PravegaConnection implements AutoCloseable {

    private static final int THREADS = 2;
    private static final Map<PravegaAddress, PravegaConnection> OPEN = new HashMap<>();

    private final PravegaAddress address;
    private final SocketConnectionFactoryImpl sockets;
    private final ConnectionPool pool;
    private final Controller controller;
    private int users;

    private PravegaConnection(PravegaAddress address) throws IOException {
        this.address = address;
        ClientConfig config = address.clientConfig();
        sockets = new SocketConnectionFactoryImpl(config, THREADS);
        pool = new ConnectionPoolImpl(config, sockets);
        controller =
                new ControllerImpl(
                        ControllerImplConfig.builder()
                                .clientConfig(config)
                                // Few and short tries here: the enumerator and the fetcher ask
                                // again themselves, and say so in the log.
                                .initialBackoffMillis(50)
                                .backoffMultiple(4)
                                .maxBackoffMillis(1000)
                                .retryAttempts(4)
                                .timeoutMillis(10_000)
                                .build(),
                        sockets.getInternalExecutor());
    }

    /**
     * Takes part in this JVM's connection to {@code address}. No remote call is made yet.
     *
     * @throws IOException if the password file cannot be read
     */
    static PravegaConnection open(PravegaAddress address) throws IOException {
        synchronized (OPEN) {
            PravegaConnection connection = OPEN.get(address);
            if (connection == null) {
                connection = new PravegaConnection(address);
                OPEN.put(address, connection);
            }
            connection.users++;
            return connection;
        }
    }

    Controller controller() {
        return controller;
    }

    SegmentInputStreamFactory segmentStreams() {
        return new SegmentInputStreamFactoryImpl(controller, pool);
    }

    Segment segment(long segmentId) {
        return new Segment(address.scope(), address.stream(), segmentId);
    }

    /** Asks about one segment: its first offset, its length. Close it after use. */
    SegmentMetadataClient metadata(long segmentId) {
        Segment segment = segment(segmentId);
        DelegationTokenProvider token =
                DelegationTokenProviderFactory.create(controller, segment, AccessOperation.READ);
        return new SegmentMetadataClientFactoryImpl(controller, pool)
                .createSegmentMetadataClient(segment, token);
    }

    @Override
    public void close() {
        synchronized (OPEN) {
            if (--users > 0) {
                return;
            }
            OPEN.remove(address);
        }
        controller.close();
        pool.close();
        sockets.close();
    }
}
