package io.lockstep.replication.network;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ReleaseGateTest {
    @Test
    void shouldForgetTheEpochsOfSessionsThatEndedBeforeTheirFirstAcknowledgement() {
        ReleaseGate gate = new ReleaseGate(1);
        long position = 0;
        for (int session = 0; session < 10; session++) {
            gate.passAnew();
            for (int epoch = 0; epoch < 4; epoch++) {
                gate.hold();
                gate.boundary(0, ++position);
                gate.cut(session * 100L + epoch);
            }
        }
        assertThat(gate.acknowledged(3)).as("of the first session").isTrue();
        assertThat(gate.until(0, position)).as("which releases nothing").isZero();
        assertThat(gate.acknowledged(903)).isTrue();
        assertThat(gate.until(0, position)).isEqualTo(position);
    }
}
