package io.lockstep.perf;

import java.util.ArrayList;
import java.util.List;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Runs the JMH benchmarks, each in its own JVM with the agent's options, and prints time and bytes allocated.
 *
 * <pre>java -cp CLASSPATH io.lockstep.perf.Bench [--quick] [--only REGEX] [--report FILE.json]</pre>
 */
public final class Bench {
    /** What Agrona needs to reach the JDK's Unsafe; the launcher's options say the same. */
    private static final List<String> JVM_ARGS = List.of(
            "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
            "--add-exports=java.base/jdk.internal.util=ALL-UNNAMED",
            "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
            "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
            "-Dchronicle.analytics.disable=true",
            "-Dchronicle.announcer.disable=true",
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            "-XX:MaxDirectMemorySize=3g",
            "-Xmx512m");

    private static final int NATIVE_ACCESS_FEATURE = 24;

    private Bench() {}

    /** See the class. */
    public static void main(String[] args) throws RunnerException {
        boolean quick = false;
        String only = "io\\.lockstep\\.perf\\..*";
        String report = "";
        for (int i = 0; i < args.length; i++) {
            switch (args[i]) {
                case "--quick" -> quick = true;
                case "--only" -> only = value(args, ++i);
                case "--report" -> report = value(args, ++i);
                default -> throw new IllegalArgumentException("unknown argument " + args[i]);
            }
        }
        ChainedOptionsBuilder options = builder(only, quick);
        if (!report.isEmpty()) {
            options.result(report);
        }
        new Runner(options.build()).run();
    }

    /** Benchmarks by regular expression, as {@code lockstep bench} runs them: shorter if quick, and without a word. */
    public static Options options(String only, boolean quick) {
        return builder(only, quick)
                .verbosity(VerboseMode.SILENT)
                .param("pages", quick ? new String[] {"256"} : new String[] {"256", "8192"})
                .param("code", "native")
                .build();
    }

    private static ChainedOptionsBuilder builder(String only, boolean quick) {
        return new OptionsBuilder()
                .include(only)
                .forks(1)
                .warmupIterations(quick ? 1 : 4)
                .warmupTime(TimeValue.milliseconds(quick ? 200 : 1_000))
                .measurementIterations(quick ? 3 : 5)
                .measurementTime(TimeValue.milliseconds(quick ? 60 : 1_000))
                .shouldFailOnError(true)
                .jvmArgs(jvmArgs())
                .addProfiler(GCProfiler.class);
    }

    private static String[] jvmArgs() {
        List<String> all = new ArrayList<>(JVM_ARGS);
        if (Runtime.version().feature() >= NATIVE_ACCESS_FEATURE) {
            all.add("--enable-native-access=ALL-UNNAMED");
            all.add("--sun-misc-unsafe-memory-access=allow");
        }
        return all.toArray(new String[0]);
    }

    private static String value(String[] args, int index) {
        if (index >= args.length) {
            throw new IllegalArgumentException(args[index - 1] + " needs a value");
        }
        return args[index];
    }
}
