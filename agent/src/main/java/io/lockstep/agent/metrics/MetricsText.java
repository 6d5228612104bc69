package io.lockstep.agent.metrics;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Collects samples of {@link Metric}s in any order and renders them by family, in Prometheus' text format 0.0.4. One thread. */
public final class MetricsText {
    private final Map<Metric, List<String>> samples = new EnumMap<>(Metric.class);

    /** @param labels names and values, alternating */
    public MetricsText add(Metric metric, double value, String... labels) {
        return line(metric, "", value, labels);
    }

    /** As {@link #add(Metric, double, String...)}; exact below 2^53. */
    public MetricsText add(Metric metric, long value, String... labels) {
        return line(metric, "", (double) value, labels);
    }

    /**
     * A distribution.
     *
     * @param bounds upper bounds, rising
     * @param cumulative for each bound, how many were at most that
     */
    public MetricsText histogram(
            Metric metric, double[] bounds, long[] cumulative, long count, double sum, String... labels) {
        for (int i = 0; i < bounds.length; i++) {
            line(metric, "_bucket", (double) cumulative[i], with(labels, "le", number(bounds[i])));
        }
        line(metric, "_bucket", (double) count, with(labels, "le", "+Inf"));
        line(metric, "_sum", sum, labels);
        return line(metric, "_count", (double) count, labels);
    }

    /** Count and sum without quantiles. */
    public MetricsText summary(Metric metric, long count, double sum, String... labels) {
        line(metric, "_count", (double) count, labels);
        return line(metric, "_sum", sum, labels);
    }

    /** All of it; families without samples are named, too. */
    public String render() {
        StringBuilder text = new StringBuilder();
        for (Metric metric : Metric.values()) {
            text.append("# HELP ")
                    .append(metric.family)
                    .append(' ')
                    .append(metric.help)
                    .append('\n');
            text.append("# TYPE ").append(metric.family).append(' ');
            text.append(metric.kind.name().toLowerCase(Locale.ROOT)).append('\n');
            samples.getOrDefault(metric, List.of()).forEach(text::append);
        }
        return text.toString();
    }

    private MetricsText line(Metric metric, String suffix, double value, String... labels) {
        StringBuilder line = new StringBuilder(metric.family).append(suffix);
        for (int i = 0; i < labels.length; i += 2) {
            line.append(i == 0 ? '{' : ',').append(labels[i]).append("=\"");
            line.append(
                    labels[i + 1].replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n"));
            line.append('"');
        }
        line.append(labels.length == 0 ? " " : "} ").append(number(value)).append('\n');
        samples.computeIfAbsent(metric, m -> new ArrayList<>()).add(line.toString());
        return this;
    }

    private static String[] with(String[] labels, String name, String value) {
        String[] more = java.util.Arrays.copyOf(labels, labels.length + 2);
        more[labels.length] = name;
        more[labels.length + 1] = value;
        return more;
    }

    private static String number(double value) {
        return value == Math.rint(value) && Math.abs(value) < 1e15
                ? Long.toString((long) value)
                : Double.toString(value);
    }
}
