package io.lockstep.perf.bench;

import io.lockstep.agent.demo.GuestNetwork;
import io.lockstep.agent.demo.GuestVm;
import io.lockstep.agent.demo.Workspace;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code lockstep bench}: exits with 0 if all could be measured, whatever came out. */
@Command(
        name = "lockstep bench",
        mixinStandardHelpOptions = true,
        description = "Measures what protection costs, beside QEMU's own migration, on this machine and in one run.")
public final class BenchCommand implements Callable<Integer> {
    private static final List<Section> SECTIONS = List.of(
            new PauseSection(),
            new ScaleSection(),
            new SlowdownSection(),
            new MoveSection(),
            new BytesSection(),
            new MicroSection(),
            new LatencySection(),
            new ClientSection(),
            new ManySection(),
            new ApiSection(),
            new SoakSection());

    /** Five minutes, and what the start and the plots take. */
    private static final double QUICK_S = 290;

    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = "--quick", description = "Short series: all within five minutes on two cores")
    private boolean quick;

    @Option(
            names = "--only",
            paramLabel = "NAME",
            split = ",",
            description = "Only these: pause, scale, slowdown, moves, bytes, micro, latency, client, many, api, soak")
    private List<String> only = List.of();

    @Option(
            names = "--report",
            paramLabel = "DIR",
            description = "Write report.json, report.md and plots to this directory")
    private @Nullable Path directory;

    // The launcher has read it by now; here it is only accepted and explained.
    @SuppressWarnings("UnusedVariable")
    @Option(names = "--no-install", description = "Never install packages: print the command and exit with 3")
    private boolean noInstall;

    /** See the class. */
    public static void main(String[] arguments) {
        System.setProperty("java.awt.headless", "true");
        System.exit(new CommandLine(new BenchCommand()).execute(arguments));
    }

    @Override
    public Integer call() throws Exception {
        for (String name : only) {
            if (SECTIONS.stream().noneMatch(section -> section.name().equals(name)) && spec != null) {
                throw new ParameterException(
                        spec.commandLine(),
                        "--only " + name + " is none of "
                                + SECTIONS.stream().map(Section::name).collect(Collectors.joining(", ")));
            }
        }
        prepareReport();
        Path guests = Path.of(System.getProperty("lockstep.guests", ""));
        boolean network = Boolean.getBoolean("lockstep.ownNetwork");
        if (network) {
            new GuestNetwork(List.of()).create();
        }
        Workspace probe = new Workspace();
        String accelerator;
        try {
            accelerator = GuestVm.accelerator(guests, probe.directory());
        } finally {
            probe.remove(true);
        }
        List<Section> sections = SECTIONS.stream().filter(this::wanted).toList();
        BenchReport report = new BenchReport(
                Machine.here(accelerator), new java.io.PrintStream(System.out, true, StandardCharsets.UTF_8));
        try (SharedLab agents = new SharedLab(sections)) {
            BenchContext context = new BenchContext(
                    Path.of(System.getProperty("lockstep.project", "")), guests, accelerator, quick, network, agents);
            measure(sections, context, report, directory);
        }
        if (directory != null) {
            report.write(directory);
        }
        return report.complete() ? 0 : 1;
    }

    /** The soak takes half an hour: a quick run has it only if it is asked for by name. */
    private boolean wanted(Section section) {
        return only.isEmpty() ? !quick || section.quickSeconds() > 0 : only.contains(section.name());
    }

    /**
     * One section after the other; what fails stands in the report with its cause, and the others are measured all the same.
     *
     * @param directory where the report so far is written after each; null if nowhere
     */
    static void measure(List<Section> sections, BenchContext context, BenchReport report, @Nullable Path directory)
            throws InterruptedException, IOException {
        QuickBudget budget = new QuickBudget(context.quick() ? QUICK_S : Double.POSITIVE_INFINITY);
        for (Section section : sections) {
            long beganNs = System.nanoTime();
            if (!budget.hasRoom(section)) {
                report.note(
                        section.name(), "left out: this machine is too slow for it within five minutes; --only has it");
                continue;
            }
            try {
                section.run(context, report);
            } catch (InterruptedException e) {
                throw e;
            } catch (Exception e) {
                report.failed(section.name(), e);
            }
            double tookS = (System.nanoTime() - beganNs) / 1e9;
            report.took(section.name(), tookS);
            budget.took(section, tookS);
            if (directory != null) {
                report.writeSoFar(directory);
            }
        }
    }

    /** Now rather than when the run is over, and with it the measurements. */
    private void prepareReport() {
        if (directory != null) {
            try {
                Files.createDirectories(directory);
            } catch (IOException e) {
                if (spec != null) {
                    throw new ParameterException(
                            spec.commandLine(), "--report " + directory + " cannot be made: " + e, e, null, null);
                }
            }
        }
    }
}
