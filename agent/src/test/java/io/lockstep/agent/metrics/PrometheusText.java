package io.lockstep.agent.metrics;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What promtool would say of a text in the exposition format 0.0.4, prometheus.io/docs/instrumenting/exposition_formats. */
public final class PrometheusText {
    private static final Pattern SAMPLE =
            Pattern.compile("([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{(.*)\\})? (NaN|[+-]Inf|[-+0-9.eE]+)");
    private static final Pattern LABEL =
            Pattern.compile("([a-zA-Z_][a-zA-Z0-9_]*)=\"((?:[^\"\\\\\n]|\\\\[\\\\\"n])*)\"(?:,|$)");

    private final List<String> complaints = new ArrayList<>();
    private final Map<String, String> types = new HashMap<>();
    private final Set<String> helped = new HashSet<>();
    private final Set<String> seen = new HashSet<>();
    private final Set<String> ended = new HashSet<>();
    private final Map<String, TreeMap<Double, Double>> buckets = new HashMap<>();
    private final Map<String, Double> counts = new HashMap<>();
    private String family = "";

    private PrometheusText() {}

    /** Everything that is wrong with it. */
    public static List<String> complaints(String text) {
        PrometheusText check = new PrometheusText();
        if (!text.endsWith("\n")) {
            check.complaints.add("the last line has no end");
        }
        text.lines().forEach(check::line);
        check.histograms();
        return check.complaints;
    }

    private void line(String line) {
        if (line.startsWith("# HELP ") || line.startsWith("# TYPE ")) {
            String[] words = line.split(" ", 4);
            comment(words[1], words[2], words.length > 3 ? words[3] : "");
            return;
        }
        Matcher sample = SAMPLE.matcher(line);
        if (!sample.matches()) {
            complaints.add("no sample: " + line);
            return;
        }
        sample(sample.group(1), sample.group(2) == null ? "" : sample.group(2), sample.group(3), line);
    }

    private void comment(String kind, String name, String rest) {
        if (!name.equals(family) && !ended.add(name)) {
            complaints.add(name + " comes twice");
        }
        family = name;
        if (rest.isEmpty()) {
            complaints.add(name + " has an empty " + kind);
        }
        if (kind.equals("HELP") ? !helped.add(name) : types.put(name, rest) != null) {
            complaints.add(name + " has two of " + kind);
        }
        if (kind.equals("TYPE") && rest.equals("counter") && !name.endsWith("_total")) {
            complaints.add("counter " + name + " does not end with _total");
        }
        if (kind.equals("TYPE") && !rest.equals("counter") && name.endsWith("_total")) {
            complaints.add(rest + " " + name + " ends with _total");
        }
        if (name.matches(".*_(milliseconds|ms|kilobytes|minutes|percent)(_.*)?")) {
            complaints.add(name + " has no base unit");
        }
    }

    private void sample(String name, String labels, String number, String line) {
        if (!seen.add(name + "{" + labels + "}")) {
            complaints.add("twice: " + line);
        }
        String type = types.getOrDefault(family, "");
        String suffix = name.startsWith(family) ? name.substring(family.length()) : "?";
        boolean fits =
                switch (type) {
                    case "histogram" -> Set.of("_bucket", "_sum", "_count").contains(suffix);
                    case "summary" -> Set.of("", "_sum", "_count").contains(suffix);
                    default -> suffix.isEmpty();
                };
        if (!fits) {
            complaints.add(line + " is no sample of " + type + " " + family);
        }
        Map<String, String> named = labels(labels, line);
        double value = number.endsWith("Inf") ? Double.POSITIVE_INFINITY : Double.parseDouble(number);
        if (type.equals("counter") && value < 0) {
            complaints.add("a counter below 0: " + line);
        }
        String le = named.remove("le");
        if (suffix.equals("_bucket") && le != null) {
            double bound = le.equals("+Inf") ? Double.POSITIVE_INFINITY : Double.parseDouble(le);
            buckets.computeIfAbsent(family + named, key -> new TreeMap<>()).put(bound, value);
        } else if (suffix.equals("_count") && type.equals("histogram")) {
            counts.put(family + named, value);
        }
    }

    private Map<String, String> labels(String text, String line) {
        Map<String, String> labels = new TreeMap<>();
        Matcher label = LABEL.matcher(text);
        int at = 0;
        while (at < text.length() && label.find() && label.start() == at) {
            if (labels.put(label.group(1), label.group(2)) != null) {
                complaints.add("a label twice: " + line);
            }
            at = label.end();
        }
        if (at < text.length()) {
            complaints.add("no labels: " + line);
        }
        return labels;
    }

    private void histograms() {
        buckets.forEach((key, bounds) -> {
            double before = 0;
            for (double count : bounds.values()) {
                if (count < before) {
                    complaints.add(key + ": a bucket has fewer than the one below it");
                }
                before = count;
            }
            if (!bounds.lastKey().isInfinite() || !bounds.lastEntry().getValue().equals(counts.get(key))) {
                complaints.add(key + ": the last bucket is not +Inf, or not the count");
            }
        });
        types.keySet().forEach(name -> {
            if (!helped.contains(name)) {
                complaints.add(name + " has no HELP");
            }
        });
    }
}
