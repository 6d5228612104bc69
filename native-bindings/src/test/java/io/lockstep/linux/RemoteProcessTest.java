package io.lockstep.linux;

import static io.lockstep.linux.PageHelper.PAGE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Another process's memory, descriptors, threads and end. */
@Tag("kernel")
@Timeout(60)
class RemoteProcessTest {
    private static final int SIGUSR1 = 10;
    private static final int SIGKILL = 9;

    private PageHelper helper;

    @BeforeEach
    void start() throws Exception {
        helper = new PageHelper();
        helper.map("memfd", 4096, "-");
    }

    @AfterEach
    void stop() {
        helper.close();
    }

    @Test
    void shouldReadScatteredPagesToConsecutiveAddressesWhenBatchIsLargerThanOneCall() throws Exception {
        int count = 1500;
        for (int i = 0; i < count; i++) {
            helper.tell("write " + i * 2 + " " + i % 251);
        }
        for (int i = 0; i < count; i++) {
            assertThat(helper.answer()).isEqualTo("ok");
        }
        NativeBlock local = new NativeBlock((int) (count * PAGE));
        RemoteMemory memory = new RemoteMemory(helper.pid());
        memory.begin(local.address());
        for (int i = 0; i < count; i++) {
            memory.add(helper.page(i * 2L), PAGE);
        }
        memory.finish();
        for (int i = 0; i < count; i++) {
            assertThat(local.buffer().get((int) (i * PAGE)) & 255).isEqualTo(i % 251);
            assertThat(local.buffer().get((int) (i * PAGE + PAGE - 1)) & 255).isEqualTo(i % 251);
        }
    }

    @Test
    void shouldNameFirstUnreachableAddressWhenRangeEndsInNothing() {
        NativeBlock local = new NativeBlock((int) (3 * PAGE));
        RemoteMemory memory = new RemoteMemory(helper.pid());
        assertThatThrownBy(() -> {
                    memory.begin(local.address());
                    memory.add(helper.page(0), PAGE);
                    memory.add(PAGE, PAGE);
                    memory.finish();
                })
                .isInstanceOf(LinuxException.class)
                .hasMessage("process_vm_readv(pid " + helper.pid() + ", 0x1000, 4096): EFAULT (14)");
    }

    @Test
    void shouldWriteIntoProcessWhenAsked() throws Exception {
        NativeBlock local = new NativeBlock((int) PAGE);
        local.buffer().put(0, (byte) 100).put(4095, (byte) 23);
        new RemoteMemory(helper.pid()).write(helper.page(7), local.address(), PAGE);
        assertThat(helper.ask("sum 7")).isEqualTo("123");
    }

    @Test
    void shouldInjectCallsAndLeaveProcessWorkingWhenSignalsArrive() throws Exception {
        int before = Integer.parseInt(helper.ask("fds"));
        AtomicBoolean stop = new AtomicBoolean();
        Thread signaller = new Thread(() -> {
            try (Pidfd pidfd = Pidfd.open(helper.pid())) {
                while (!stop.get()) {
                    pidfd.sendSignal(SIGUSR1);
                    TimeUnit.MICROSECONDS.sleep(300);
                }
            } catch (LinuxException | InterruptedException e) {
                stop.set(true);
            }
        });
        signaller.start();
        for (int i = 0; i < 50; i++) {
            int fd = RemoteSyscall.userfaultfd(helper.pid());
            assertThat(Descriptors.target(helper.pid(), fd)).isEqualTo("anon_inode:[userfaultfd]");
            RemoteSyscall.close(helper.pid(), fd);
        }
        assertThat(stop.getAndSet(true)).isFalse();
        signaller.join();
        assertThat(Integer.parseInt(helper.ask("fds"))).isEqualTo(before);
        assertThat(Integer.parseInt(helper.ask("signals"))).isPositive();
    }

    @Test
    void shouldKeepChildAliveInTheEyesOfTheJvmWhenItIsInjected() throws Exception {
        // As one thread more waits for nothing, that one is traced, and the JVM's wait for the main thread sees none of
        // it.
        Process child = new ProcessBuilder(PageHelper.binary().toString(), "child").start();
        try (var output = child.inputReader(UTF_8);
                var input = child.outputWriter(UTF_8)) {
            assertThat(output.readLine()).isEqualTo(Long.toString(child.pid()));
            int fd = RemoteSyscall.userfaultfd(child.pid());
            RemoteSyscall.close(child.pid(), fd);
            assertThat(child.waitFor(100, TimeUnit.MILLISECONDS)).isFalse();
            input.write("signals\n");
            input.flush();
            assertThat(output.readLine()).isEqualTo("0");
        } finally {
            child.destroyForcibly();
        }
    }

    @Test
    void shouldReportRemoteErrorWhenInjectedCallFails() {
        assertThatThrownBy(() -> RemoteSyscall.close(helper.pid(), 999))
                .isInstanceOf(LinuxException.class)
                .hasMessage("syscall 3(999, 0, 0) in pid " + helper.pid() + ": EBADF (9)");
    }

    @Test
    void shouldHoldMainThreadAtCloseUntilDetached() throws Exception {
        try (Pipe pipe = new Pipe((int) PAGE);
                FrozenThread frozen = FrozenThread.seize(helper.pid())) {
            helper.write(0, 0);
            helper.tell("pipe 100000 /proc/" + ProcessHandle.current().pid() + "/fd/" + pipe.writeFd());
            Awaitility.await().until(() -> pipe.available() == PAGE);
            pipe.closeWrite();
            long[] drained = new long[1];
            Thread drain = new Thread(() -> {
                NativeBlock block = new NativeBlock(65536);
                Poll poll = new Poll(1);
                poll.set(0, pipe.readFd(), Poll.IN);
                try {
                    while (drained[0] < 100_000 && poll.await(5_000_000_000L) > 0) {
                        drained[0] += pipe.read(block.address(), block.length());
                    }
                } catch (LinuxException e) {
                    drained[0] = -1;
                }
            });
            drain.start();
            frozen.runToClose(pipe.target(), 10_000_000_000L);
            drain.join();
            assertThat(drained[0]).isEqualTo(100_000);
            assertThat(frozen.held()).isTrue();
            NativeBlock mark = new NativeBlock(1);
            new RemoteMemory(helper.pid()).read(helper.page(0), mark.address(), 1);
            assertThat(mark.buffer().get(0)).isZero();
            frozen.detach();
            assertThat(helper.answer()).isEqualTo("0");
            new RemoteMemory(helper.pid()).read(helper.page(0), mark.address(), 1);
            assertThat(mark.buffer().get(0)).isEqualTo((byte) 77);
        }
    }

    @Test
    void shouldLetThreadRunOnWhenItNeverReachesTheClose() throws Exception {
        try (FrozenThread frozen = FrozenThread.seize(helper.pid())) {
            assertThatThrownBy(() -> frozen.runToClose("pipe:[0]", 50_000_000L))
                    .isInstanceOf(LinuxException.class)
                    .hasMessage("ptrace: thread " + helper.pid() + " did not stop: ETIMEDOUT (110)");
        }
        assertThat(helper.ask("sum 9")).isEqualTo("0");
    }

    @Test
    void shouldReportExitWhenHeldProcessIsKilled() throws Exception {
        ProcessIdentity identity = ProcessIdentity.of(helper.pid());
        assertThat(identity.alive()).isTrue();
        assertThat(new ProcessIdentity(identity.pid(), identity.startTicks() + 1).alive())
                .isFalse();
        try (Pidfd pidfd = Pidfd.open(helper.pid())) {
            assertThat(pidfd.awaitExit(0)).isFalse();
            pidfd.sendSignal(SIGKILL);
            assertThat(pidfd.awaitExit(10_000_000_000L)).isTrue();
        }
        assertThat(identity.alive()).isFalse();
    }
}
