package io.lockstep.agent.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class MetricsTextTest {
    @Test
    void shouldBeInTheExpositionFormatWhateverVmsAreCalled() {
        String name = "a \"b\"\\c\nd{e=\"f\"},ü";
        String text = new MetricsText()
                .add(Metric.PROTECTED, 1, "vm", name)
                .add(Metric.PROTECTED, 0, "vm", "other")
                .add(Metric.UPTIME, 1.5)
                .histogram(Metric.PAUSE, new double[] {0.001, 0.01}, new long[] {3, 5}, 6, 0.5, "vm", name)
                .summary(Metric.JVM_GC, 3, 0.25, "gc", "Copy")
                .render();
        assertThat(PrometheusText.complaints(text)).isEmpty();
        assertThat(text).contains("lockstep_protected{vm=\"a \\\"b\\\"\\\\c\\nd{e=\\\"f\\\"},ü\"} 1\n");
    }

    @Test
    void shouldFindWhatIsWrong() {
        assertThat(PrometheusText.complaints("# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 2\n"))
                .containsExactly("twice: a_total 2");
        assertThat(PrometheusText.complaints(
                        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n"))
                .containsExactly("h{}: a bucket has fewer than the one below it");
        assertThat(PrometheusText.complaints("# HELP c x\n# TYPE c counter\nc{x=y} 1\n"))
                .containsExactly("counter c does not end with _total", "no labels: c{x=y} 1");
    }
}
