package io.lockstep.replication;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DutyCycleTest {
    private static final long STALL_NS = DutyCycle.STALL_NS;

    private final DutyCycle cycle = DutyCycle.idle();

    @Test
    void shouldCountARoundThatTookTooLong() {
        cycle.mark(0);
        cycle.mark(STALL_NS);
        assertThat(cycle.stalls()).isZero();
        assertThat(cycle.ageNs(STALL_NS + 7)).isEqualTo(7);
        cycle.mark(2 * STALL_NS + 1);
        cycle.mark(4 * STALL_NS);
        assertThat(cycle.stalls()).isEqualTo(2);
        assertThat(cycle.stalledNs()).isEqualTo(3 * STALL_NS);
    }

    @Test
    void shouldCountNoWaitThatAThreadMeans() {
        cycle.mark(0, 10 * STALL_NS);
        assertThat(cycle.ageNs(9 * STALL_NS)).isZero();
        cycle.mark(11 * STALL_NS, 20 * STALL_NS);
        assertThat(cycle.stalls()).isZero();
        cycle.mark(21 * STALL_NS + 1);
        assertThat(cycle.stalls()).as("later than it meant to be").isEqualTo(1);

        cycle.rest(21 * STALL_NS + 2);
        assertThat(cycle.ageNs(99 * STALL_NS)).isZero();
        cycle.mark(99 * STALL_NS);
        assertThat(cycle.stalls()).isEqualTo(1);
        assertThat(cycle.ageNs(100 * STALL_NS)).isEqualTo(STALL_NS);
        cycle.rest(101 * STALL_NS);
        assertThat(cycle.stalls()).as("work that took too long").isEqualTo(2);
    }

    @Test
    void shouldHaveAnotherBoundWhereItIsGiven() {
        DutyCycle slow = DutyCycle.idle(5 * STALL_NS);
        slow.took(5 * STALL_NS);
        assertThat(slow.stalls()).isZero();
        slow.took(5 * STALL_NS + 1);
        assertThat(slow.stalls()).isEqualTo(1);
    }
}
