package io.lockstep.agent.cli;

import io.lockstep.agent.client.JsonTree;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What {@code lockstep top} shows, as lines: no terminal in it, so that it can be tested. One thread. */
final class TopScreen {
    /** Points of a sparkline, one for each look. */
    private static final int POINTS = 12;

    private static final String BARS = "▁▂▃▄▅▆▇█";
    private static final String HEADING = "VM                ROLE     STATE           PAUSE                 LAG";

    private final Map<String, Deque<Double>> pauses = new HashMap<>();
    private final Map<String, Deque<Double>> lags = new HashMap<>();
    private List<Row> rows = List.of();
    private String hardware = "";
    private char order = 'n';
    private int selected;
    private boolean detail;

    private record Row(String vm, String role, String state, double pauseMs, double lag, String paragraph) {}

    /** Takes a new look. */
    void update(JsonTree status, JsonTree health) {
        List<Row> next = new ArrayList<>();
        for (JsonTree p : status.get("protections").elements()) {
            double lag =
                    Math.max(0, p.get("epoch").number() - p.get("ackedEpoch").number());
            double pauseMs = p.get("recentPauseMs").get("p99").number();
            next.add(new Row(p.get("vm").text(), "primary", state(p), pauseMs, lag, StatusText.protection(p)));
        }
        for (JsonTree r : status.get("replicas").elements()) {
            double lag = Math.max(
                    0, r.get("committedEpoch").number() - r.get("appliedEpoch").number());
            next.add(new Row(r.get("vm").text(), "replica", state(r), 0, lag, StatusText.replica(r)));
        }
        for (Row row : next) {
            point(pauses, row, row.pauseMs);
            point(lags, row, row.lag);
        }
        // What is gone is forgotten.
        List<String> present = next.stream().map(TopScreen::id).toList();
        pauses.keySet().retainAll(present);
        lags.keySet().retainAll(present);
        rows = next;
        hardware = "hardware: " + health.get("state").text();
        List<JsonTree> parts = health.get("parts").elements();
        if (!parts.isEmpty() && !health.get("state").text().equals("healthy")) {
            hardware += ", " + parts.get(0).get("component").text() + ": "
                    + parts.get(0).get("action").text();
        }
        sort();
    }

    /** A key was pressed. */
    void key(char key) {
        switch (key) {
            case 'p', 'l', 'n' -> {
                order = key;
                sort();
            }
            case 'j' -> selected++;
            case 'k' -> selected--;
            case '\r', '\n' -> detail = !detail;
            case 27 -> detail = false;
            default -> {
                // Nothing is on this key.
            }
        }
        selected = Math.max(0, Math.min(selected, rows.size() - 1));
    }

    /** At most so many lines, none longer than the columns. */
    List<String> lines(int columns, int height) {
        List<String> lines = new ArrayList<>();
        long primaries = rows.stream().filter(row -> row.role.equals("primary")).count();
        lines.add("lockstep top   " + primaries + " protected here, " + (rows.size() - primaries) + " replicas   sort: "
                + (order == 'p' ? "pause" : order == 'l' ? "lag" : "name"));
        lines.add(hardware);
        lines.add("");
        if (detail && selected < rows.size()) {
            lines.addAll(rows.get(selected).paragraph.lines().toList());
        } else {
            table(lines, Math.max(0, height - lines.size() - 2));
        }
        while (lines.size() < height - 1) {
            lines.add("");
        }
        List<String> shown = new ArrayList<>(lines.subList(0, Math.max(0, Math.min(lines.size(), height - 1))));
        shown.add("p pause  l lag  n name  up/down select  Enter " + (detail ? "back" : "details") + "  q quit");
        return shown.stream()
                .map(line -> line.substring(0, Math.min(columns, line.length())))
                .toList();
    }

    private void table(List<String> lines, int room) {
        lines.add(HEADING);
        int first = Math.max(0, Math.min(selected - room / 2, rows.size() - room));
        for (int i = first; i < Math.min(rows.size(), first + room); i++) {
            Row row = rows.get(i);
            lines.add(String.format(
                    Locale.ROOT,
                    "%s%-16.16s  %-7s  %-14.14s  %8s %-12s %4.0f %-12s",
                    i == selected ? ">" : " ",
                    row.vm,
                    row.role,
                    row.state,
                    row.role.equals("primary") ? Text.ms(row.pauseMs) : "-",
                    spark(pauses.getOrDefault(id(row), new ArrayDeque<>())),
                    row.lag,
                    spark(lags.getOrDefault(id(row), new ArrayDeque<>()))));
        }
        if (rows.isEmpty()) {
            lines.add(" nothing is replicated to or from this host");
        }
    }

    private static String id(Row row) {
        return row.role + "/" + row.vm;
    }

    private static String state(JsonTree view) {
        return view.get("state").get("name").text();
    }

    private static void point(Map<String, Deque<Double>> lines, Row row, double value) {
        Deque<Double> points = lines.computeIfAbsent(id(row), id -> new ArrayDeque<>());
        points.addLast(value);
        if (points.size() > POINTS) {
            points.removeFirst();
        }
    }

    /** From zero to the highest of the points. */
    static String spark(Iterable<Double> points) {
        double max = 0;
        for (double point : points) {
            max = Math.max(max, point);
        }
        StringBuilder line = new StringBuilder();
        for (double point : points) {
            int level = max > 0 ? (int) Math.round(point / max * (BARS.length() - 1)) : 0;
            line.append(BARS.charAt(level));
        }
        return line.toString();
    }

    private void sort() {
        Comparator<Row> by = Comparator.comparing(Row::vm).thenComparing(Row::role);
        if (order == 'p') {
            by = Comparator.comparingDouble(Row::pauseMs).reversed().thenComparing(by);
        } else if (order == 'l') {
            by = Comparator.comparingDouble(Row::lag).reversed().thenComparing(by);
        }
        rows = rows.stream().sorted(by).toList();
        selected = Math.max(0, Math.min(selected, rows.size() - 1));
    }
}
