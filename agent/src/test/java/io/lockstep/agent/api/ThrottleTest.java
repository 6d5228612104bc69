package io.lockstep.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class ThrottleTest {
    private static final long S = 1_000_000_000L;
    private static final long COST_NS = 2_000_000;

    private static final long OVERHEAD_NS = 100_000;

    private static final long SEEN_NS = COST_NS - OVERHEAD_NS;

    /** Clients that ask again as soon as they were answered, for 20 s, and meanwhile one in a while. */
    private static final class Busy {
        private final Throttle throttle;
        private final Throttle.Client[] clients;
        private final long[] readyNs;
        private final long everyNs;
        private final boolean fresh;
        long served;
        long calmServed;
        long calmLongestNs;

        /**
         * @param share of the processor: one of so many
         * @param everyNs how often the calm one asks
         * @param fresh whether it connects anew each time, as a command does
         */
        Busy(int share, int count, long everyNs, boolean fresh) {
            throttle = new Throttle(share, () -> OVERHEAD_NS);
            clients = new Throttle.Client[count];
            readyNs = new long[count];
            this.everyNs = everyNs;
            this.fresh = fresh;
            for (int i = 0; i < count; i++) {
                clients[i] = throttle.client(null);
            }
        }

        void run() {
            Throttle.Client calm = throttle.client(null);
            // The first requests of all of them pass: each of a new connection.
            long calmNs = 2 * S;
            for (long nowNs = 0; nowNs < 20 * S; nowNs += 1_000_000) {
                for (int i = 0; i < readyNs.length; i++) {
                    if (readyNs[i] <= nowNs) {
                        readyNs[i] = nowNs + throttle.book(nowNs, clients[i]) + COST_NS;
                        throttle.done(readyNs[i], SEEN_NS, clients[i]);
                        served += readyNs[i] < 20 * S ? 1 : 0;
                    }
                }
                if (nowNs >= calmNs) {
                    calmNs += everyNs;
                    calm = fresh ? throttle.client(null) : calm;
                    long waitNs = throttle.book(nowNs, calm);
                    throttle.done(nowNs + waitNs, SEEN_NS, calm);
                    calmServed += waitNs == 0 ? 1 : 0;
                    calmLongestNs = Math.max(calmLongestNs, waitNs);
                }
            }
        }
    }

    @Test
    void shouldNotDelayAClientThatAsksNowAndThen() {
        Throttle throttle = new Throttle(Budgets.MANAGE_SHARE, () -> OVERHEAD_NS);
        Throttle.Client client = throttle.client(null);
        for (long i = 0; i < 1000; i++) {
            assertThat(throttle.book(i * 10_000_000, client)).isZero();
            throttle.done(i * 10_000_000 + 1_000_000, 1_000_000, client);
        }
    }

    @Test
    void shouldKeepAHundredBusyClientsToAFifthOfAProcessor() {
        Busy busy = new Busy(Budgets.MANAGE_SHARE, 100, 21 * S, false);
        busy.run();
        // 20 s × 1/5 ÷ 2 ms, and the burst of 0.2 s.
        assertThat(busy.served).isBetween(1_900L, 2_200L);
        // Nobody waits longer than everybody's requests take.
        assertThat(busy.throttle.book(20 * S, busy.clients[0])).isLessThanOrEqualTo(100 * COST_NS * 5 + S);
    }

    @Test
    void shouldKeepReadersToATwentiethOfAProcessor() {
        Busy busy = new Busy(Budgets.READ_SHARE, 100, 21 * S, false);
        busy.run();
        // 20 s × 1/20 ÷ 2 ms, and the bursts of all and of those that pass.
        assertThat(busy.served).isBetween(450L, 560L);
    }

    @Test
    void shouldLetAClientThatAsksNowAndThenPassThoseThatHammer() {
        Busy watching = new Busy(Budgets.MANAGE_SHARE, 200, S, false);
        watching.run();
        assertThat(watching.calmLongestNs).isZero();
        Busy commands = new Busy(Budgets.MANAGE_SHARE, 200, S / 5, true);
        commands.run();
        assertThat(commands.calmLongestNs).isZero();
    }

    @Test
    void shouldKeepThoseThatPassToAQuarterOfTheShare() {
        Busy busy = new Busy(Budgets.MANAGE_SHARE, 100, 1_000_000, true);
        busy.run();
        // 18 s × 1/20 ÷ 2 ms, and the bursts; the rest has waited like everybody.
        assertThat(busy.calmServed).isBetween(400L, 700L);
        assertThat(busy.calmLongestNs).isPositive();
    }

    /** As scripts and broken tools do: each request on a connection of its own, many at a time. */
    @Test
    void shouldNotLetAProcessPassWithNewConnectionsWhileAnotherAsksNowAndThen() {
        Throttle throttle = new Throttle(Budgets.MANAGE_SHARE, () -> OVERHEAD_NS);
        long[] readyNs = new long[200];
        Throttle.Client[] clients = new Throttle.Client[readyNs.length];
        long passed = 0;
        for (long nowNs = 0; nowNs < 20 * S; nowNs += 1_000_000) {
            for (int i = 0; i < readyNs.length; i++) {
                if (clients[i] != null && readyNs[i] <= nowNs) {
                    throttle.done(nowNs, SEEN_NS, clients[i]);
                    clients[i] = null;
                }
                if (clients[i] == null) {
                    clients[i] = throttle.client("hammer");
                    readyNs[i] = nowNs + throttle.book(nowNs, clients[i]) + COST_NS;
                    passed += nowNs > 5 * S && readyNs[i] == nowNs + COST_NS ? 1 : 0;
                }
            }
            if (nowNs % (S / 2) == 0) {
                Throttle.Client operator = throttle.client("operator " + nowNs);
                assertThat(throttle.book(nowNs, operator)).as("at %d", nowNs).isZero();
                throttle.done(nowNs + COST_NS, SEEN_NS, operator);
            }
        }
        assertThat(passed).isZero();
    }

    @Test
    void shouldLetAConnectionPassAgainOnceItsProcessRested() {
        Throttle throttle = new Throttle(Budgets.MANAGE_SHARE, () -> OVERHEAD_NS);
        Throttle.Client hammer = throttle.client("hammer");
        for (int i = 0; i < 1000; i++) {
            throttle.book(0, hammer);
            throttle.done(0, SEEN_NS, hammer);
        }
        Throttle.Client one = throttle.client("operator");
        Throttle.Client other = throttle.client("operator");
        assertThat(throttle.book(0, one)).isZero();
        assertThat(throttle.book(0, other)).as("beside the first").isPositive();
        throttle.done(S / 1000, SEEN_NS, one);
        throttle.done(S / 1000, SEEN_NS, other);
        assertThat(throttle.book(S / 100, one)).as("before a rest").isPositive();
        throttle.done(S / 100, SEEN_NS, one);
        assertThat(throttle.book(S / 5, throttle.client("operator")))
                .as("after a rest")
                .isZero();
    }

    @Test
    void shouldForgiveWhatLiesBehind() {
        Throttle throttle = new Throttle(Budgets.MANAGE_SHARE, () -> OVERHEAD_NS);
        Throttle.Client client = throttle.client(null);
        for (int i = 0; i < 1000; i++) {
            throttle.book(0, client);
            throttle.done(0, 5_000_000, client);
        }
        assertThat(throttle.book(0, client)).isPositive();
        assertThat(throttle.book(100 * S, client)).isZero();
    }

    @Test
    void shouldLeaveThoseWhoManageTheirTimeWhenOthersHaveUsedUpTheirs() {
        Budgets budgets = new Budgets(new Overhead(() -> 0));
        for (String connector : List.of(ApiServer.READ_ONLY, ApiServer.METRICS)) {
            Throttle others = budgets.of(connector);
            Throttle.Client client = others.client(null);
            // 100 × 2 ms × 20 = 4 s ahead of their share.
            for (int i = 0; i < 100; i++) {
                others.book(0, client);
                others.done(0, SEEN_NS, client);
            }
            assertThat(others.book(0, client)).isBetween(2 * S, 3 * S + S / 10);
        }
        Throttle manage = budgets.of(ApiServer.MANAGE);
        Throttle.Client operator = manage.client(null);
        // 99 × 2 ms × 5 < 1 s: the whole burst is there.
        for (int i = 0; i < 99; i++) {
            assertThat(manage.book(0, operator)).isZero();
            manage.done(0, SEEN_NS, operator);
        }
    }
}
