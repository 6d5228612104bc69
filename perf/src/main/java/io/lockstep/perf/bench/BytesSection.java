package io.lockstep.perf.bench;

import io.lockstep.agent.view.EncodingBytes;
import io.lockstep.agent.view.ProtectionStatus;
import java.util.List;

/** What an epoch costs on the link, by what the guest does with its memory. */
final class BytesSection implements Section {
    private static final int MIB = 256;
    private static final double KB = 1e3;

    /** Of XBZRLE's passes, in the whole run. */
    private static final int STRETCH_S = 15;

    private record Load(String name, BenchGuest.Spec spec) {}

    @Override
    public String name() {
        return "bytes";
    }

    @Override
    public int quickSeconds() {
        return 42;
    }

    @Override
    public void run(BenchContext context, BenchReport report) throws Exception {
        List<Load> loads = List.of(
                new Load("idle Linux", BenchGuest.Spec.linux(context, "idle", MIB, "mb=1 pages=0 sweep=0 every=20")),
                new Load("counter", BenchGuest.Spec.micro(context, "counter", MIB, "mb=32 pages=20 sweep=32")),
                new Load(
                        "redis-like (small writes all over 128 MiB)",
                        BenchGuest.Spec.micro(context, "scatter", MIB, "mb=128 pages=400 sweep=0")),
                new Load(
                        "random fill",
                        BenchGuest.Spec.linux(context, "fill", MIB, "mb=1 pages=0 sweep=0 every=20 hog=64")),
                new Load(
                        "kernel-compile-like (memory taken and given back)",
                        BenchGuest.Spec.linux(context, "churn", MIB, "mb=1 pages=0 sweep=0 every=20 churn=32")));
        Lab lab = context.agents().warm(context);
        for (Load load : loads) {
            measure(context, report, lab, load);
        }
    }

    private void measure(BenchContext context, BenchReport report, Lab lab, Load load) throws Exception {
        String vm = load.spec().name();
        try (BenchGuest guest = BenchGuest.boot(context, load.spec(), lab.directory())) {
            lab.protectWarm(vm, context.pick(20, 40));
            Counters before = Counters.now(lab);
            ProtectionStatus begin = lab.primary().protection(vm);
            ProtectionStatus end = lab.awaitEpochs(vm, context.pick(12, 400));
            double pages = Counters.now(lab).pagesAnEpoch(before, vm);
            guest.awaitTicks(1);
            long epochs = end.ackedEpoch() - begin.ackedEpoch();
            EncodingBytes from = begin.encoding();
            EncodingBytes to = end.encoding();
            double sentBytes = (double) (end.linkBytes() - begin.linkBytes()) / epochs;
            report.add(Figure.of(name(), load.name() + ": sent an epoch", sentBytes / KB, "kB")
                    .against("its pages", pages * 4.096));
            report.add(
                    Figure.of(name(), load.name() + ": zero", (to.zeroBytes() - from.zeroBytes()) / KB / epochs, "kB"));
            report.add(Figure.of(
                    name(), load.name() + ": delta", (to.deltaBytes() - from.deltaBytes()) / KB / epochs, "kB"));
            report.add(Figure.of(name(), load.name() + ": LZ4", (to.lz4Bytes() - from.lz4Bytes()) / KB / epochs, "kB"));
            report.add(Figure.of(name(), load.name() + ": raw", (to.rawBytes() - from.rawBytes()) / KB / epochs, "kB"));
            report.add(Figure.of(
                    name(),
                    load.name() + ": unchanged, not sent",
                    (double) (to.unchangedPages() - from.unchangedPages()) / epochs,
                    "pages"));
            lab.primary().unprotect(vm);
            Figure each = Figure.of(
                    name(), load.name() + ": bytes for each written page", pages == 0 ? 0 : sentBytes / pages, "B");
            QemuMigration.Iterations xbzrle =
                    QemuMigration.iterate(context, guest, load.spec(), lab.directory(), context.pick(1, STRETCH_S));
            report.add(xbzrle.pages() == 0 ? each : each.against("XBZRLE's", xbzrle.bytesPerPage()));
            report.add(Figure.of(name(), load.name() + ": XBZRLE's pages measured", xbzrle.pages(), "pages"));
        }
    }
}
