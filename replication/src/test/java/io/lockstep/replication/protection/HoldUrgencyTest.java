package io.lockstep.replication.protection;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.linux.LinuxException;
import io.lockstep.linux.Scheduling;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Needs CAP_SYS_NICE. */
@Tag("kernel")
class HoldUrgencyTest {
    private final List<Integer> nice = new ArrayList<>();

    @Test
    void shouldBeUrgentInAHoldOnlyAndNiceAsBeforeAfterIt() throws Exception {
        run(() -> {
            Scheduling.setNice(3);
            HoldUrgency urgency = new HoldUrgency();
            urgency.end();
            look();
            urgency.begin();
            urgency.begin();
            look();
            urgency.end();
            look();
        });
        assertThat(nice).containsExactly(3, HoldUrgency.NICE, 3);
    }

    @Test
    void shouldLeaveAThreadAloneWhenItIsMoreUrgentAlready() throws Exception {
        run(() -> {
            Scheduling.setNice(HoldUrgency.NICE - 5);
            HoldUrgency urgency = new HoldUrgency();
            urgency.begin();
            look();
            urgency.end();
            look();
        });
        assertThat(nice).containsExactly(HoldUrgency.NICE - 5, HoldUrgency.NICE - 5);
    }

    private interface Body {
        void run() throws LinuxException;
    }

    private void look() {
        nice.add(Scheduling.nice());
    }

    /** On a thread of its own: a nice value is a thread's. */
    private static void run(Body body) throws Exception {
        Throwable[] failure = new Throwable[1];
        Thread thread = new Thread(() -> {
            try {
                body.run();
            } catch (LinuxException | RuntimeException e) {
                failure[0] = e;
            }
        });
        thread.start();
        thread.join();
        assertThat(failure[0]).isNull();
    }
}
