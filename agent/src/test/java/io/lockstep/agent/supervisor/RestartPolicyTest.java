package io.lockstep.agent.supervisor;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class RestartPolicyTest {
    private final RestartPolicy policy = new RestartPolicy();

    @Test
    void shouldStartAgainAtOnceWhenTheAgentWasInService() {
        for (int i = 0; i < 100; i++) {
            assertThat(policy.ended(true)).isZero();
        }
    }

    @Test
    void shouldWaitLongerAndLongerWhenStartsFailAgainAndAgain() {
        assertThat(policy.ended(false)).isZero();
        assertThat(policy.ended(false)).isZero();
        assertThat(policy.ended(false)).isEqualTo(RestartPolicy.DELAY_NS_MIN);
        assertThat(policy.ended(false)).isEqualTo(2 * RestartPolicy.DELAY_NS_MIN);
        for (int i = 0; i < 100; i++) {
            assertThat(policy.ended(false)).isBetween(RestartPolicy.DELAY_NS_MIN, RestartPolicy.DELAY_NS_MAX);
        }
        assertThat(policy.ended(true)).isZero();
        assertThat(policy.ended(false)).isZero();
    }
}
