import com.sun.management.OperatingSystemMXBean;
import io.pravega.client.ClientConfig;
import io.pravega.client.EventStreamClientFactory;
import io.pravega.client.admin.ReaderGroupManager;
import io.pravega.client.stream.EventRead;
import io.pravega.client.stream.EventStreamReader;
import io.pravega.client.stream.EventStreamWriter;
import io.pravega.client.stream.EventWriterConfig;
import io.pravega.client.stream.ReaderConfig;
import io.pravega.client.stream.ReaderGroupConfig;
import io.pravega.client.stream.Stream;
import io.pravega.client.stream.impl.ByteArraySerializer;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The other side of the benchmark {@code clients}: the Java client, doing no more than it must.
 *
 * <p>It does its work once for each line on standard input, and reports on it in a line of JSON. The
 * benchmark lets it work several times before it counts: then the classes are loaded and the code is
 * compiled. CPU time is that of the whole process, which includes its garbage collection.
 */
public final class ClientBench {

    private static final long QUIET_MS = 2_000;

    private final ClientConfig config;
    private final String scope;
    private final String stream;
    private final int workers;
    private final long events;

    private ClientBench(String[] args) {
        config = ClientConfig.builder().controllerURI(URI.create(args[1])).build();
        scope = args[2];
        stream = args[3];
        workers = Integer.parseInt(args[4]);
        events = Long.parseLong(args[5]);
    }

    /** Arguments: write or read, controller, scope, stream, writers or readers, events, [bytes, window]. */
    public static void main(String[] args) throws Exception {
        ClientBench bench = new ClientBench(args);
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (int round = 0; orders.readLine() != null; round++) {
            long cpu = cpuNanos();
            long nanos =
                    args[0].equals("write")
                            ? bench.write(Integer.parseInt(args[6]), Integer.parseInt(args[7]))
                            : bench.read("java-" + System.currentTimeMillis() + "-" + round);
            System.out.printf(
                    "{\"events\":%d,\"seconds\":%.6f,\"cpu_seconds\":%.6f}%n",
                    bench.events, nanos / 1e9, (cpuNanos() - cpu) / 1e9);
        }
        System.exit(0);
    }

    private static long cpuNanos() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    /** Time from the first event sent to the last acknowledged. */
    private long write(int bytes, int window) throws Exception {
        try (EventStreamClientFactory factory = EventStreamClientFactory.withScope(scope, config)) {
            long start = System.nanoTime();
            inThreads(
                    worker -> {
                        try (EventStreamWriter<byte[]> writer =
                                factory.createEventWriter(
                                        stream, new ByteArraySerializer(), EventWriterConfig.builder().build())) {
                            Semaphore room = new Semaphore(window);
                            byte[] template = new byte[bytes];
                            Arrays.fill(template, (byte) 'A');
                            for (long i = 0; i < events / workers; i++) {
                                room.acquire();
                                byte[] event = template.clone();
                                byte[] id = ("@" + worker + "." + i + "." + System.currentTimeMillis() + "000\n")
                                        .getBytes(StandardCharsets.UTF_8);
                                System.arraycopy(id, 0, event, 0, id.length);
                                writer.writeEvent(event).whenComplete((done, error) -> room.release());
                            }
                            room.acquire(window);
                        }
                    });
            return System.nanoTime() - start;
        }
    }

    /** Time from the first event delivered to the last. */
    private long read(String group) throws Exception {
        AtomicLong read = new AtomicLong();
        AtomicLong first = new AtomicLong();
        AtomicLong last = new AtomicLong();
        AtomicLong checksum = new AtomicLong();
        try (ReaderGroupManager groups = ReaderGroupManager.withScope(scope, config);
                EventStreamClientFactory factory = EventStreamClientFactory.withScope(scope, config)) {
            groups.createReaderGroup(group, ReaderGroupConfig.builder().stream(Stream.of(scope, stream)).build());
            inThreads(
                    worker -> {
                        try (EventStreamReader<byte[]> reader =
                                factory.createReader(
                                        "r" + worker, group, new ByteArraySerializer(), ReaderConfig.builder().build())) {
                            while (read.get() < events) {
                                EventRead<byte[]> event = reader.readNextEvent(QUIET_MS / 10);
                                if (event.getEvent() == null) {
                                    continue;
                                }
                                checksum.addAndGet(event.getEvent()[1]);
                                long count = read.incrementAndGet();
                                if (count == 1) {
                                    first.set(System.nanoTime());
                                }
                                if (count == events) {
                                    last.set(System.nanoTime());
                                }
                            }
                        }
                    });
            groups.deleteReaderGroup(group);
        }
        return last.get() - first.get();
    }

    private interface Work {
        void run(int worker) throws Exception;
    }

    private void inThreads(Work work) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        for (int worker = 0; worker < workers; worker++) {
            int number = worker;
            Thread thread =
                    new Thread(
                            () -> {
                                try {
                                    work.run(number);
                                } catch (Exception e) {
                                    e.printStackTrace();
                                    System.exit(1);
                                }
                            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }
}
