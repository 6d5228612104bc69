package io.lockstep.agent.supervisor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class RestartPolicyTest {
    private final RestartPolicy policy = new RestartPolicy();

    @Test
    void shouldStartAgainAtOnceWhenTheAgentWasInService() {
        for (int i = 0; i < 100; i++) {
            assertThat(policy.ended(RestartPolicy.HEALTHY_NS)).isZero();
        }
    }

    @Test
    void shouldWaitLongerAndLongerWhenStartsFailAgainAndAgain() {
        assertThat(policy.ended(-1)).isZero();
        assertThat(policy.ended(0)).isZero();
        assertThat(policy.ended(-1)).isEqualTo(RestartPolicy.DELAY_NS_MIN);
        assertThat(policy.ended(-1)).isEqualTo(2 * RestartPolicy.DELAY_NS_MIN);
        for (int i = 0; i < 100; i++) {
            assertThat(policy.ended(-1)).isBetween(RestartPolicy.DELAY_NS_MIN, RestartPolicy.DELAY_NS_MAX);
        }
        assertThat(policy.ended(RestartPolicy.HEALTHY_NS)).isZero();
        assertThat(policy.ended(-1)).isZero();
    }
}
