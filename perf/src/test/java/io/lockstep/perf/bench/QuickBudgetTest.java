package io.lockstep.perf.bench;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class QuickBudgetTest {
    private final QuickBudget budget = new QuickBudget(100);

    private record Expected(int quickSeconds) implements Section {
        @Override
        public String name() {
            return "expected";
        }

        @Override
        public void run(BenchContext context, BenchReport report) {
            throw new AssertionError("is not run here");
        }
    }

    @Test
    void shouldHaveRoomUntilTheLimitWhenSectionsTakeWhatIsExpected() {
        assertThat(budget.hasRoom(new Expected(1_000))).isTrue();
        budget.took(new Expected(60), 60);
        assertThat(budget.hasRoom(new Expected(40))).isTrue();
        assertThat(budget.hasRoom(new Expected(41))).isFalse();
    }

    @Test
    void shouldExpectMoreOfTheNextWhenTheOnesBeforeTookLonger() {
        budget.took(new Expected(20), 40);
        assertThat(budget.hasRoom(new Expected(30))).isTrue();
        assertThat(budget.hasRoom(new Expected(31))).isFalse();
        budget.took(new Expected(30), 60);
        assertThat(budget.hasRoom(new Expected(0))).isTrue();
        assertThat(budget.hasRoom(new Expected(1))).isFalse();
    }
}
