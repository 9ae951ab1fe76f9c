package io.pravega.sluice.job.source;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.SimpleCounter;

/**
 * Flink's interfaces by proxy: they have other methods in other versions, and the tests run against
 * all of them.
 */
final class Fakes {

    private Fakes() {}

    static <T> T of(Class<T> type, InvocationHandler handler) {
        return type.cast(
                Proxy.newProxyInstance(
                        Fakes.class.getClassLoader(), new Class<?>[] {type}, handler));
    }

    /** A metric group of any kind: hands out counters and nested groups, forgets the rest. */
    static <T> T metricGroup(Class<T> type) {
        return of(
                type,
                (proxy, method, args) -> {
                    Class<?> result = method.getReturnType();
                    if (result == Counter.class) {
                        return new SimpleCounter();
                    }
                    if (method.getName().equals("gauge")) {
                        return args[1];
                    }
                    return result.isInterface() ? metricGroup(result) : null;
                });
    }
}
