package io.lockstep.telemetry.guest;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.health.ComponentHealth;
import io.lockstep.telemetry.health.HealthRules;
import io.lockstep.telemetry.source.EventSource;
import io.lockstep.telemetry.source.SourceState;
import io.lockstep.telemetry.trace.TimedTrace;
import io.lockstep.telemetry.watch.HardwareWatch;
import io.lockstep.telemetry.watch.HostSources;
import io.lockstep.telemetry.watch.SeenEvent;
import io.lockstep.telemetry.watch.WatchSetup;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Watches the guest's hardware as the agent watches a host's, and prints what it finds, until it is killed:
 * {@code event}, as {@link Seen}; {@code source NAME STATUS EVENTS LOST DETAIL} when a source's state changed; {@code health STATE COMPONENT}; at the
 * start {@code state STATE} of the host; {@code errors CORRECTED} of all its parts when they became more, also those of an earlier life;
 * {@code delay NANOSECONDS} from a tracepoint's own time to its typed event.
 */
final class GuestWatchMain {
    private static final int EVENTS_PER_TURN = 1000;
    private static final long TURN_MS = 20;

    /** Accounts that count their modules' errors once more. */
    private static final String SOCKET = "memory of CPU";

    private GuestWatchMain() {}

    public static void main(String[] arguments) throws InterruptedException {
        Path state = Path.of(arguments[0]);
        HostSources host = HostSources.ofThisHost(state, state.resolve("untimed-trace"), "untimed", false);
        List<EventSource> waking = new ArrayList<>(host.waking());
        waking.get(0).close();
        waking.set(0, TimedTrace.open("lockstep", state.resolve("trace"), host.counters(), ns -> say("delay\t" + ns)));
        HardwareWatch watch = HardwareWatch.start(new WatchSetup(
                new HostSources(waking, host.polled(), host.edac(), host.counters()),
                HealthRules.DEFAULT,
                state.resolve("health"),
                Optional::empty,
                (health, before) -> say(
                        "health\t" + health.state() + "\t" + health.component().words())));
        say("watching");
        say("state\t" + watch.state());
        Map<String, SourceState> told = new HashMap<>();
        long sequence = 0;
        long errors = -1;
        while (true) {
            for (SeenEvent seen : watch.events(sequence, EVENTS_PER_TURN)) {
                sequence = seen.sequence();
                say(Seen.line(seen));
            }
            watch.sourceStates().forEach((name, now) -> {
                if (!now.equals(told.put(name, now))) {
                    say("source\t" + name + "\t" + now.status() + "\t" + now.events() + "\t" + now.lost() + "\t"
                            + now.detail());
                }
            });
            long corrected = watch.health().stream()
                    .filter(health -> !(health.component() instanceof Component.Host part)
                            || !part.name().startsWith(SOCKET))
                    .mapToLong(ComponentHealth::corrected)
                    .sum();
            if (corrected != errors) {
                errors = corrected;
                say("errors\t" + corrected);
            }
            Thread.sleep(TURN_MS);
        }
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
