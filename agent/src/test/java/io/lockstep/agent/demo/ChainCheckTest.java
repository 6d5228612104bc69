package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ChainCheckTest {
    private static final int LINE_BYTES = 30;

    private final HashChain chain = new HashChain(1, 3, 4);
    private final ChainCheck check = new ChainCheck(new HashChain(1, 3, 4));
    private long offset;

    @Test
    void shouldCountTicksBeforeAndAfterWhenTheGuestGoesOnFromACommittedPoint() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        check.take(ticks(8, 20));

        assertThat(check.before()).isEqualTo(10);
        assertThat(check.after()).isEqualTo(13);
        assertThat(check.repeated()).isEqualTo(3);
        assertThat(check.last()).isEqualTo(20);
    }

    @Test
    void shouldAcceptTheNextTickWhenNothingIsRepeated() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        check.take(ticks(11, 12));

        assertThat(check.after()).isEqualTo(2);
        assertThat(check.repeated()).isZero();
    }

    @Test
    void shouldCountWhatTheDyingProcessStillPrintedAsBeforeWhenTheGuestStepsBackLater() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        check.take(ticks(11, 12));
        check.take(ticks(9, 11));

        assertThat(check.before()).isEqualTo(12);
        assertThat(check.after()).isEqualTo(3);
    }

    @Test
    void shouldIgnoreOneLineWhenItWasCutByTheKill() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset + 5);
        check.take(List.of(line(11, 0xbad)));
        check.take(ticks(9, 12));

        assertThat(check.after()).isEqualTo(4);
    }

    @Test
    void shouldIgnoreTheTornLineWhenTheDyingProcessStillPrintedWholeOnesBeforeIt() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        check.take(ticks(11, 12));
        check.take(List.of(line(217, chain.stateAfter(7))));
        check.take(ticks(8, 14));

        assertThat(check.before()).isEqualTo(12);
        assertThat(check.after()).isEqualTo(7);
    }

    @Test
    void shouldGoOnBehindALineThatBothProcessesWereInWhenItIsNoTick() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        offset += LINE_BYTES + 3;
        check.take(ticks(12, 14));

        assertThat(check.after()).isEqualTo(3);
        assertThat(check.repeated()).isZero();
    }

    @Test
    void shouldGoOnBehindALineThatBothProcessesWereInWhenItIsAWrongTick() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        check.take(List.of(line(11, 0xbad)));
        check.take(ticks(12, 14));

        assertThat(check.after()).isEqualTo(3);
    }

    @Test
    void shouldFailWhenTwoTicksAreMissingBehindTheTornLine() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        offset += LINE_BYTES + 3;

        assertThatThrownBy(() -> check.take(ticks(13, 14))).hasMessage("the guest's tick 14 follows tick 10");
    }

    @Test
    void shouldFailWhenALineIsUnreadableBeforeTheKill() throws DemoFailure {
        check.take(ticks(1, 10));
        offset += LINE_BYTES + 3;

        assertThatThrownBy(() -> check.take(ticks(12, 12))).hasMessage("the guest's tick 12 follows tick 10");
    }

    @Test
    void shouldFailWhenASecondLineAfterTheKillIsWrong() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        List<Tick> wrong = List.of(line(9, 1), line(11, 0xbad));

        assertThatThrownBy(() -> check.take(wrong))
                .hasMessage(String.format(
                        "tick 11: the guest's state 0000000000000bad != recomputed %016x", chain.stateAfter(11)));
    }

    @Test
    void shouldFailWhenAStateIsWrong() {
        assertThatThrownBy(() -> check.take(List.of(line(1, 7))))
                .hasMessage(String.format(
                        "tick 1: the guest's state 0000000000000007 != recomputed %016x", chain.stateAfter(1)));
    }

    @Test
    void shouldFailWhenTicksAreMissing() throws DemoFailure {
        check.take(ticks(1, 3));

        assertThatThrownBy(() -> check.take(ticks(5, 5))).hasMessage("the guest's tick 5 follows tick 3");
    }

    @Test
    void shouldFailWhenTheGuestResumesFromAPointThatItHadNotReached() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);

        assertThatThrownBy(() -> check.take(ticks(13, 14))).hasMessage("the guest's tick 14 follows tick 10");
    }

    @Test
    void shouldFailWhenTheGuestStepsBackTwice() throws DemoFailure {
        check.take(ticks(1, 10));
        check.cutAt(offset);
        check.take(ticks(8, 12));

        assertThatThrownBy(() -> check.take(ticks(9, 9))).hasMessage("the guest's tick 9 follows tick 12");
    }

    private List<Tick> ticks(int from, int to) {
        List<Tick> ticks = new ArrayList<>();
        for (int number = from; number <= to; number++) {
            ticks.add(line(number, chain.stateAfter(number)));
        }
        return ticks;
    }

    private Tick line(int number, long state) {
        long start = offset;
        offset += LINE_BYTES;
        return new Tick(0, start, offset, number, state);
    }
}
