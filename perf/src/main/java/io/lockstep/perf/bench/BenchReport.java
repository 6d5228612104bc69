package io.lockstep.perf.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What a run measured: printed as a table while it comes, and written as {@code report.json}, {@code report.md} and plots. Single-threaded. */
final class BenchReport {

    private final Machine machine;
    private final PrintStream out;
    private final List<Figure> figures = new ArrayList<>();
    private final List<Plot> plots = new ArrayList<>();
    private final List<String> failures = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private final Map<String, Double> seconds = new LinkedHashMap<>();
    private String section = "";

    BenchReport(Machine machine, PrintStream out) {
        this.machine = machine;
        this.out = out;
        out.printf(
                "kernel %s, %s, JDK %s, %d × %s, %d MiB, %s%n",
                machine.kernel(),
                machine.qemu(),
                machine.jdk(),
                machine.cores(),
                machine.processor(),
                machine.memoryMib(),
                machine.accelerator());
    }

    void add(Figure figure) {
        if (!figure.section().equals(section)) {
            section = figure.section();
            out.printf("%n%s%n", section);
        }
        figures.add(figure);
        out.printf(
                "  %-58s %12s %-9s %-36s %s%n",
                figure.name(), number(figure.value()), figure.unit(), reference(figure), verdict(figure));
        out.flush();
    }

    void add(Plot plot) {
        plots.add(plot);
    }

    /** Something that is no number. */
    void note(String name, String text) {
        notes.add(name + ": " + text);
        out.printf("  %s%n", text);
    }

    /** A section that could not be measured: the run goes on, and its exit status says so. */
    void failed(String name, Exception cause) {
        failures.add(name + ": " + cause);
        out.printf("%n%s failed: %s%n", name, cause);
    }

    /** How long a section was measured. */
    void took(String name, double howLong) {
        seconds.put(name, howLong);
        out.printf("  (%s: %.0f s)%n", name, howLong);
    }

    boolean complete() {
        return failures.isEmpty();
    }

    /** Writes the report's files into a directory, which is made if need be. */
    void write(Path directory) throws IOException {
        Files.createDirectories(directory);
        List<String> names = new ArrayList<>();
        for (Plot plot : plots) {
            names.add(plot.write(directory));
        }
        writeTexts(directory, names);
    }

    /** The same without plots: what a run leaves that is interrupted later. */
    void writeSoFar(Path directory) throws IOException {
        writeTexts(directory, List.of());
    }

    private void writeTexts(Path directory, List<String> plotFiles) throws IOException {
        byte[] json = new ObjectMapper()
                .enable(SerializationFeature.INDENT_OUTPUT)
                .writeValueAsBytes(Map.of(
                        "machine",
                        machine,
                        "figures",
                        figures,
                        "notes",
                        notes,
                        "failures",
                        failures,
                        "seconds",
                        seconds));
        replace(directory.resolve("report.json"), json);
        replace(directory.resolve("report.md"), markdown(plotFiles).getBytes(StandardCharsets.UTF_8));
    }

    /** A reader finds the former file or this one, never a part. */
    private static void replace(Path file, byte[] content) throws IOException {
        Path part = file.resolveSibling(file.getFileName() + ".part");
        Files.write(part, content);
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
    }

    private String markdown(List<String> plotFiles) {
        StringBuilder text = new StringBuilder("# Bench\n\n");
        text.append("Kernel ")
                .append(machine.kernel())
                .append(", ")
                .append(machine.qemu())
                .append(", JDK ")
                .append(machine.jdk())
                .append(", ")
                .append(machine.cores())
                .append(" × ")
                .append(machine.processor())
                .append(", ")
                .append(machine.memoryMib())
                .append(" MiB, ")
                .append(machine.accelerator())
                .append(
                        ".\n\n| section | what | value | unit | against | ratio, goal |\n| --- | --- | ---: | --- | --- | --- |\n");
        for (Figure f : figures) {
            text.append(String.format(
                    Locale.ROOT,
                    "| %s | %s | %s | %s | %s | %s |%n",
                    f.section(),
                    f.name(),
                    number(f.value()),
                    f.unit(),
                    reference(f),
                    verdict(f)));
        }
        for (String note : notes) {
            text.append("\n").append(note).append('\n');
        }
        for (String failure : failures) {
            text.append("\nNot measured: ").append(failure).append('\n');
        }
        for (String file : plotFiles) {
            text.append("\n![").append(file).append("](").append(file).append(")\n");
        }
        return text.toString();
    }

    private static String reference(Figure figure) {
        return figure.reference() == null ? "" : figure.referenceName() + " " + number(figure.reference());
    }

    private static String verdict(Figure figure) {
        if (figure.ratio() == null) {
            return "";
        }
        String ratio = String.format(Locale.ROOT, "%.2f", figure.ratio());
        return figure.goal() == null
                ? ratio
                : ratio + " (" + figure.goal() + (Boolean.TRUE.equals(figure.met()) ? ", met)" : ", short)");
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, Math.abs(value) >= 100 ? "%,.0f" : "%.2f", value);
    }
}
