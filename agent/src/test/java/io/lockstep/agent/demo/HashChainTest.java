package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class HashChainTest {
    @Test
    void shouldGiveTheStatesThatTheGuestsPrintedWhenOptionsAreTheSame() {
        HashChain chain = new HashChain(32, 20, 16);

        assertThat(chain.stateAfter(1)).isEqualTo(0x32038ddc27f8d92bL);
        assertThat(chain.stateAfter(2)).isEqualTo(0xce5f36357ce440f2L);
        assertThat(chain.stateAfter(50)).isEqualTo(0xfe522b5b03bbfc58L);
        assertThat(chain.stateAfter(1123)).isEqualTo(0xd587be4a320ade64L);
    }

    @Test
    void shouldGiveAnEarlierStateAgainWhenAskedForItAfterALaterOne() {
        HashChain chain = new HashChain(1, 5, 4);
        long tenth = chain.stateAfter(10);

        assertThat(chain.stateAfter(9000)).isNotEqualTo(tenth);
        assertThat(chain.stateAfter(10)).isEqualTo(tenth);
    }

    @Test
    void shouldSweepEveryPageWhenSweepTicksHavePassed() {
        assertThat(new HashChain(32, 20, 16).sweepTicks()).isEqualTo(512);
        assertThat(new HashChain(1, 20, 100).sweepTicks()).isEqualTo(3);
        assertThat(new HashChain(1, 20, 0).sweepTicks()).isZero();
    }

    @Test
    void shouldRefuseWhenTheTickOrAnOptionIsOutOfRange() {
        assertThatThrownBy(() -> new HashChain(1, 1, 1).stateAfter(0)).hasMessage("tick 0 is not in 1..1048576");
        assertThatThrownBy(() -> new HashChain(0, 20, 16)).hasMessage("arena 0 MiB, 20 pages per tick, sweep 16");
    }
}
