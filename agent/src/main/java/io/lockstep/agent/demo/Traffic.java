package io.lockstep.agent.demo;

import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.agent.view.Quantiles;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The client of a run, if the guest has a network, from before protection to after the kill. Single-threaded. */
final class Traffic {
    /** Of a kernel that boots and a server that starts. */
    private static final Duration FIRST_ANSWER = Duration.ofSeconds(60);

    private static final Duration ANSWERS = Duration.ofSeconds(30);

    /** Enough for a median and a tail: two seconds. */
    private static final int UNPROTECTED_ANSWERS = 300;

    private static final int ANSWERS_AFTER = 100;

    /** Each so many requests one is logged by the guest, on its disk, before it answers. */
    private static final int LOG_EACH = 8;

    private final @Nullable CounterClient client;
    private Quantiles unprotectedMs = new Quantiles(0, 0, 0);
    private Quantiles protectedMs = new Quantiles(0, 0, 0);

    private Traffic(@Nullable CounterClient client) {
        this.client = client;
    }

    static Traffic start(DemoOptions options) {
        return new Traffic(
                options.network()
                        ? CounterClient.start(
                                new InetSocketAddress(GuestNetwork.GUEST_ADDRESS, GuestNetwork.PORT),
                                LOG_EACH,
                                () -> {})
                        : null);
    }

    /** Measures the round trip of a VM that nobody protects. */
    void unprotected(DemoOutput output) throws InterruptedException, DemoFailure {
        if (client != null) {
            await(client, FIRST_ANSWER, 1);
            client.roundTripMs();
            await(client, ANSWERS, UNPROTECTED_ANSWERS);
            unprotectedMs = client.roundTripMs();
            output.line("client: round trip p50 %.2f ms without protection", unprotectedMs.p50());
        }
    }

    /** The first copy is over. */
    void beginProtected() {
        if (client != null) {
            client.roundTripMs();
        }
    }

    /** Now everything is as it is under protection, for the last time. */
    void beforeKill(ProtectionStatus protection, DemoOutput output) throws DemoFailure {
        if (client != null) {
            client.check();
            protectedMs = client.roundTripMs();
            output.line(
                    "client: round trip p50 %.2f ms under protection; pause p50 %.2f ms, acknowledgement p50 %.2f ms",
                    protectedMs.p50(),
                    protection.pauseMs().p50(),
                    protection.ackMs().p50());
        }
    }

    /** How many lines the guest has logged and acknowledged so far. */
    int loggedCount() {
        return client == null ? 0 : client.loggedCount();
    }

    /** What the guest has logged and acknowledged so far; of no client nothing. */
    List<String> logged() {
        return client == null ? List.of() : client.logged();
    }

    /**
     * After the kill: returns when the client has gone on for a while, and ends it.
     *
     * @return what the client saw; null if there is none
     * @throws DemoFailure if its connection ended, or anything was lost or contradicted
     */
    DemoReport.@Nullable Client end() throws InterruptedException, DemoFailure {
        if (client == null) {
            return null;
        }
        await(client, ANSWERS, ANSWERS_AFTER);
        client.close();
        client.check();
        return new DemoReport.Client(
                client.acks(),
                client.lost(),
                client.contradicted(),
                DemoReport.MedianAndTail.of(protectedMs),
                DemoReport.MedianAndTail.of(unprotectedMs),
                client.roundTripMs().max());
    }

    private static void await(CounterClient client, Duration limit, int more) throws InterruptedException, DemoFailure {
        long until = client.acks() + more;
        Deadline.await(more + " answers of the guest", limit, () -> {
            client.check();
            return client.acks() >= until;
        });
    }
}
