package io.pravega.sluice.job.source;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * The protocol under random histories: whatever the order of messages, checkpoints, failures,
 * rescales of the job and scales of the stream, each event is emitted once and in order.
 */
class SegmentBookPropertyTest {

    private static final int HISTORIES = 2000;
    private static final int STEPS = 800;

    /** How many hand-overs are searched step by step, and how many ordinary steps around each. */
    private static final int HAND_OVERS_SEARCHED = 4;

    private static final int SEARCHED_STEPS = 70;

    @Test
    void everyEventOnceInOrderWhateverHappens() {
        int restarts = 0;
        int handOvers = 0;
        for (int seed = 0; seed < HISTORIES; seed++) {
            ModelFlink flink = history(seed, true, false);
            restarts += flink.globalRestarts;
            handOvers += flink.handOvers();
        }
        System.out.printf(
                "%d histories: %d restarts of the whole job, %d hand-overs%n",
                HISTORIES, restarts, handOvers);
        assertTrue(handOvers > HISTORIES / 5, "too few hand-overs to prove anything: " + handOvers);
    }

    /** As in reactive and adaptive mode: failures always restart all. */
    @Test
    void everyEventOnceInOrderWithoutRegionFailover() {
        for (int seed = 1; seed <= HISTORIES; seed++) {
            history(-seed, false, false);
        }
    }

    /**
     * A hand-over with a checkpoint begun before each step of it and a failure of the whole job
     * after each later step, at the same and at another parallelism.
     */
    @Test
    void restoreBetweenAnyTwoStepsOfAHandOver() {
        int searched = 0;
        int runs = 0;
        for (int seed = 0; searched < HAND_OVERS_SEARCHED; seed++) {
            if (handOver(seed, -1, -1, 0).handOvers() == 0) {
                continue;
            }
            searched++;
            for (int checkpoint = 0; checkpoint < SEARCHED_STEPS; checkpoint++) {
                for (int failure = checkpoint; failure < SEARCHED_STEPS; failure++) {
                    handOver(seed, checkpoint, failure, 2 + failure % 2);
                    runs++;
                }
            }
        }
        System.out.printf(
                "%d pairs of checkpoint and failure around %d hand-overs%n", runs, searched);
    }

    private static ModelFlink handOver(int seed, int checkpointAt, int failureAt, int parallelism) {
        Random random = new Random(seed);
        ModelStream stream = new ModelStream(4);
        for (int i = 0; i < 8; i++) {
            stream.write(random);
        }
        ModelFlink flink = new ModelFlink(random, stream, 2, false);
        flink.settle();
        stream.scale(random);
        try {
            for (int i = 0; i < SEARCHED_STEPS; i++) {
                if (i == checkpointAt) {
                    flink.startCheckpoint();
                }
                flink.ordinaryStep();
                if (i == failureAt) {
                    flink.restartAll(parallelism);
                }
            }
            finish(flink);
            return flink;
        } catch (AssertionError | RuntimeException e) {
            throw new AssertionError(
                    String.format(
                            "seed %d, checkpoint at %d, failure at %d: %s",
                            seed, checkpointAt, failureAt, e.getMessage()),
                    e);
        }
    }

    private static ModelFlink history(int seed, boolean regionFailover, boolean tracing) {
        Random random = new Random(seed);
        ModelStream stream = new ModelStream(1 + random.nextInt(6));
        ModelFlink flink = new ModelFlink(random, stream, 1 + random.nextInt(4), tracing);
        try {
            for (int i = 0; i < STEPS; i++) {
                step(random, stream, flink, regionFailover);
            }
            finish(flink);
            return flink;
        } catch (AssertionError | RuntimeException e) {
            if (!tracing) {
                history(seed, regionFailover, true); // the same again, with a record of the steps
            }
            throw new AssertionError("seed " + seed + ": " + e.getMessage(), e);
        }
    }

    private static void finish(ModelFlink flink) {
        flink.settle();
        flink.assertAllReadOnce();
        flink.assertBalanced();
        flink.wholeCheckpoint();
        flink.assertNothingKept();
    }

    private static void step(
            Random random, ModelStream stream, ModelFlink flink, boolean regionFailover) {
        int dice = random.nextInt(1000);
        if (dice < 150) {
            stream.write(random);
        } else if (dice < 180) {
            stream.scale(random);
        } else if (dice < 215) {
            flink.startCheckpoint();
        } else if (dice < 218) {
            flink.abortCheckpoint();
        } else if (dice < 221) {
            flink.restartAll(1 + random.nextInt(4));
        } else if (dice < 225) {
            if (regionFailover) {
                flink.restartOne(random.nextInt(flink.parallelism()));
            }
        } else {
            flink.ordinaryStep();
        }
    }
}
