package io.lockstep.replication.memory;

import java.nio.file.Path;
import java.util.List;

/** Runs inside a guest whose kernel has soft-dirty bits, and prints what the trackers make of a process there, a line each. */
final class SoftDirtyGuestMain {
    private SoftDirtyGuestMain() {}

    /** Takes no arguments; lines that matter begin with {@code guest:}. */
    public static void main(String[] arguments) throws Exception {
        for (String kind : List.of("private", "memfd")) {
            try (WatchedProcess process = new WatchedProcess(kind)) {
                for (TrackerProbe probe : TrackerFactory.probe(process.helper.pid(), process.regions)) {
                    say(kind, probe.name() + " " + probe.available() + " " + probe.reason());
                }
                TrackerFactory.Opened opened =
                        TrackerFactory.open(process.helper.pid(), process.regions, new ScanVector(16), false, null, 1);
                try (DirtyTracker tracker = opened.tracker()) {
                    say(kind, "best " + tracker.name());
                    track(kind, process, tracker);
                }
                if (kind.equals("memfd")) {
                    discard(kind, process);
                }
            }
        }
        System.out.println("guest: done");
    }

    private static void track(String kind, WatchedProcess process, DirtyTracker tracker) throws Exception {
        process.pages(tracker::scanAndArm);
        say(kind, "quiet " + process.pages(tracker::scanAndArm));
        for (long page : List.of(0L, 99L, 100L, 101L, 1023L)) {
            process.helper.write(page, 7);
        }
        say(kind, "peeked " + process.pages(tracker::peek));
        say(kind, "scanned " + process.pages(tracker::scanAndArm));
        say(kind, "again " + process.pages(tracker::scanAndArm));
        process.helper.write(99, 8);
        process.helper.ask("read 3 /init");
        say(kind, "then " + process.pages(tracker::scanAndArm));
        tracker.detach();
    }

    private static void discard(String kind, WatchedProcess process) throws Exception {
        try (DiscardWatch watch = new DiscardWatch(
                process.helper.pid(),
                Path.of("/proc/" + process.helper.pid() + "/fd/" + process.helper.fd()),
                (WatchedProcess.FIRST_PAGES + 1) * 4096L,
                process.index,
                1)) {
            PageBitmap found = new PageBitmap(process.index.limit());
            process.helper.ask("touch 150 100");
            say(kind, "discarded at first " + watch.discarded(found));
            process.helper.ask("punch 160 10");
            process.helper.ask("punch 245 20");
            say(kind, "discarded " + watch.discarded(found) + " from " + process.helperPage(found.nextSet(0)));
            say(kind, "discarded again " + watch.discarded(found));
        }
    }

    private static void say(String kind, String what) {
        System.out.println("guest: " + kind + " " + what);
    }
}
