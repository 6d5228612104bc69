package io.lockstep.agent.demo;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.view.DiskView;
import io.lockstep.agent.view.Promotion;
import io.lockstep.agent.view.ProtectionStatus;
import io.lockstep.linux.Pidfd;
import io.lockstep.replication.LockstepException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * A copy of disks that is interrupted goes on where it was: by a link that is cut, and by an agent that is killed at seeded random instants. The
 * guest holds each sector of one disk against its memory; the other one is large, and nobody writes to it.
 */
@Tag("system")
class DiskResumeTest {
    private static final long SEED = Long.getLong("lockstep.seed", 3);
    private static final int KILLS = 5;
    private static final int SIGKILL = 9;
    private static final long LARGE_BYTES = 384L << 20;
    private static final long ENOUGH_BYTES = 96L << 20;
    private static final Duration LONG = Duration.ofSeconds(90);
    private static final String VM = "resumes-" + ProcessHandle.current().pid();

    private final Random random = new Random(SEED);

    @Test
    @Timeout(400)
    void shouldGoOnWithTheCopyOfADiskWhenTheLinkIsCutOrTheAgentIsKilled() throws Exception {
        Workspace workspace = new Workspace();
        boolean passed = false;
        try {
            run(workspace);
            passed = true;
        } finally {
            workspace.killAll();
            workspace.remove(passed);
            if (!passed) {
                System.out.println("seed " + SEED + ", logs in " + workspace.directory());
            }
        }
    }

    private void run(Workspace workspace) throws Exception {
        Path directory = workspace.directory();
        Path project = Installation.in(Files.createDirectory(directory.resolve("product")))
                .project();
        DemoHost primary = new DemoHost(Hosts.PRIMARY, workspace, project);
        DemoHost peer = new DemoHost(Hosts.PEER, workspace, project);
        primary.createIdentity();
        peer.createIdentity();
        try (CutRelay link = new CutRelay(peer.port())) {
            primary.configure(25, peer, link.port(), Path.of("/bin/false"));
            peer.configure(25, primary, primary.port(), Path.of("/bin/false"));
            primary.start();
            peer.start();
            Path large = directory.resolve("large.raw");
            fill(large);
            Process vm = boot(directory, large);
            primary.awaitAgent();
            peer.awaitAgent();
            Path serial = directory.resolve(VM + ".serial");
            awaitProgress(serial);
            CompletableFuture<ProtectionStatus> protectedOnce = protect(primary);

            awaitCopied(primary);
            link.cut();
            long first = protectedOnce
                    .get(LONG.toSeconds(), java.util.concurrent.TimeUnit.SECONDS)
                    .pid();
            assertThat(first).isEqualTo(vm.pid());
            long afterCut = large(primary).bytesTotal();
            System.out.printf("link cut in a first copy: %d of %d MiB read again%n", afterCut >> 20, LARGE_BYTES >> 20);
            // Less than is copied by then: what the peer had not acknowledged is read again.
            assertThat(afterCut).isLessThan(LARGE_BYTES - (ENOUGH_BYTES >> 3));
            awaitProgress(serial);

            for (int kill = 1; kill <= KILLS; kill++) {
                LockSupport.parkNanos(random.nextInt(300) * 1_000_000L);
                kill(primary);
                long again = large(primary).bytesTotal();
                assertThat(again).as("read again after kill %d", kill).isLessThan(16L << 20);
                assertThat(primary.protection(VM).fullCopies()).isZero();
            }
            awaitProgress(serial);
            Deadline.await("a standby", LONG, () -> standbyReady(peer));
            vm.destroyForcibly();
            Deadline.await("the VM's promotion", LONG, () -> peer.promotion(VM) != null);
            Promotion there = peer.promotion(VM);
            awaitProgress(serial);
            String commandLine = Files.readString(Path.of("/proc/" + there.pid() + "/cmdline"));
            Matcher image = Pattern.compile("[^=\"\0,]*/disk-1\\.raw").matcher(commandLine);
            assertThat(image.find()).isTrue();
            assertThat(Files.mismatch(Path.of(image.group()), large)).isEqualTo(-1);
        }
    }

    private static CompletableFuture<ProtectionStatus> protect(DemoHost primary) {
        CompletableFuture<ProtectionStatus> result = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                result.complete(primary.protect(VM, (phase, done, total) -> {}));
            } catch (Exception e) {
                result.completeExceptionally(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return result;
    }

    private void kill(DemoHost primary) throws Exception {
        long pid = primary.agent().pid();
        try (Pidfd agent = Pidfd.open(pid)) {
            agent.sendSignal(SIGKILL);
            assertThat(agent.awaitExit(LONG.toNanos())).isTrue();
        }
        Deadline.await("protection after a kill", LONG, () -> primary.protectsAgain(VM, pid));
        long acked = primary.protection(VM).ackedEpoch();
        Deadline.await("epochs after a kill", LONG, () -> acked(primary) > acked + random.nextInt(20));
    }

    private static long acked(DemoHost primary) throws DemoFailure {
        try {
            return primary.protection(VM).ackedEpoch();
        } catch (LockstepException | IOException e) {
            throw new DemoFailure("status: " + e.getMessage(), e);
        }
    }

    /** Returns when a good part of the large disk is with the peer, and the rest is not. */
    private static void awaitCopied(DemoHost primary) throws Exception {
        Deadline.await("a part of the first copy", LONG, () -> {
            try {
                DiskView disk = large(primary);
                assertThat(disk.mirrored())
                        .as("the copy is too quick to be cut")
                        .isFalse();
                return disk.bytesDone() >= 2 * ENOUGH_BYTES;
            } catch (LockstepException | IOException e) {
                throw new DemoFailure("status: " + e.getMessage(), e);
            } catch (DemoFailure e) {
                return false; // Not begun yet.
            }
        });
    }

    private static DiskView large(DemoHost primary) throws LockstepException, IOException, DemoFailure {
        return primary.protection(VM).disks().get(1);
    }

    private static boolean standbyReady(DemoHost peer) throws DemoFailure {
        try {
            return peer.replica(VM).standbyReady();
        } catch (LockstepException | IOException e) {
            throw new DemoFailure("status: " + e.getMessage(), e);
        }
    }

    private static void fill(Path large) throws IOException {
        byte[] content = new byte[1 << 20];
        try (OutputStream out = Files.newOutputStream(large)) {
            for (long written = 0; written < LARGE_BYTES; written += content.length) {
                new Random(written).nextBytes(content);
                out.write(content);
            }
        }
    }

    private static Process boot(Path directory, Path large) throws IOException, InterruptedException {
        Path checked = directory.resolve("checked.qcow2");
        assertThat(new ProcessBuilder("qemu-img", "create", "-q", "-f", "qcow2", checked.toString(), "32M")
                        .start()
                        .waitFor())
                .isZero();
        List<String> command = new ArrayList<>(List.of("qemu-system-x86_64", "-name", VM, "-machine", "q35"));
        command.addAll(List.of("-accel", "tcg", "-m", "256M", "-nodefaults", "-display", "none"));
        command.addAll(List.of("-chardev", "file,id=serial,append=on,path=" + directory.resolve(VM + ".serial")));
        command.addAll(List.of("-serial", "chardev:serial"));
        command.addAll(List.of("-qmp", "unix:" + directory.resolve(VM + ".qmp") + ",server=on,wait=off"));
        command.addAll(List.of("-drive", "if=none,id=checked,format=qcow2,cache=none,file=" + checked));
        command.addAll(List.of("-device", "virtio-blk-pci,drive=checked"));
        command.addAll(List.of("-drive", "if=none,id=large,format=raw,file=" + large));
        command.addAll(List.of("-device", "virtio-blk-pci,drive=large"));
        Path guests = guests();
        command.addAll(List.of("-kernel", guests.resolve("vmlinuz").toString()));
        command.addAll(List.of("-initrd", guests.resolve("initrd.gz").toString()));
        command.addAll(List.of("-append", "console=ttyS0 loglevel=1 panic=-1 disk=/dev/vda mb=8 pages=4 sweep=256"));
        return new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(Path.of("/dev/null").toFile())
                .redirectOutput(directory.resolve(VM + ".log").toFile())
                .start();
    }

    private static Path guests() throws IOException, InterruptedException {
        Path script = Path.of(System.getProperty("lockstep.project", ".."), "agent", "guests", "build.sh");
        Process build = new ProcessBuilder(script.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String directory = new String(build.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
        assertThat(build.waitFor()).isZero();
        return Path.of(directory);
    }

    private static void awaitProgress(Path serial) throws Exception {
        int before = progress(serial);
        Deadline.await("progress on the disk", LONG, () -> progress(serial) >= before + 2);
    }

    private static int progress(Path serial) throws DemoFailure {
        try {
            String text = Files.exists(serial) ? Files.readString(serial, StandardCharsets.ISO_8859_1) : "";
            assertThat(text).doesNotContain("MISMATCH");
            return text.split(" right", -1).length;
        } catch (IOException e) {
            throw new DemoFailure("serial: " + e.getMessage(), e);
        }
    }
}
