package io.lockstep.replication.replica;

import io.lockstep.linux.ProcessIdentity;
import io.lockstep.replication.LockstepException;
import io.lockstep.replication.hypervisor.Standby;
import io.lockstep.replication.journal.JournalLimits;
import io.lockstep.replication.link.HelloCodec;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.SessionHello;
import java.io.BufferedInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;

/** A peer in a process of its own, to be killed: one session over its standard input and output, applier on its own thread. */
final class KilledPeer {
    private KilledPeer() {}

    /** Arguments: the directory of the state, that of the memory. */
    public static void main(String[] args) throws Exception {
        // Only messages may come out there: whatever prints must go elsewhere.
        StreamChannel channel = new StreamChannel(
                new BufferedInputStream(new FileInputStream(FileDescriptor.in), 1 << 16),
                new FileOutputStream(FileDescriptor.out));
        System.setOut(System.err);
        ReplicaConfig config = SimulatedPeer.config(
                Path.of(args[0]), Path.of(args[1]), new JournalLimits(1 << 20, 4 << 20, 3_600_000));
        ReplicaEnvironment env = new ReplicaEnvironment(
                config,
                new StandbyFactory() {
                    @Override
                    public Standby spawn(SessionHello hello, List<Path> files) throws LockstepException {
                        throw new LockstepException("standby-none", "There is none in this test.");
                    }

                    @Override
                    public boolean toldToRun(String vmName, ProcessIdentity standby) {
                        return true;
                    }
                },
                null,
                null,
                new ReplicaListener() {},
                HostCondition.UNKNOWN,
                System::nanoTime,
                System::currentTimeMillis,
                ReplicaMarker.BootId.current());
        Replica replica = new Replica(env, "vm", ApplierThread::new);
        replica.open();
        AtomicReference<SessionHello> hello = new AtomicReference<>();
        channel.receive((buffer, offset, length) -> hello.set(HelloCodec.decodeHello(buffer, offset, length)), 0);
        ReplicaSession session = new ReplicaSession(replica, channel, hello.get());
        HelloCodec.send(channel, replica.hello(hello.get(), session, channel.peerFingerprint()));
        try {
            while (true) {
                session.poll(0, System.nanoTime());
            }
        } catch (LinkException e) {
            session.onLinkException(e);
            System.exit(e.kind() == LinkException.Kind.CLOSED ? 0 : 3);
        }
    }
}
