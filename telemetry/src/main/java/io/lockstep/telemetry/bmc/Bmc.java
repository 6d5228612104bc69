package io.lockstep.telemetry.bmc;

import io.lockstep.linux.IpmiDevice;
import io.lockstep.linux.LinuxException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A baseboard management controller. For one thread. */
public interface Bmc extends AutoCloseable {
    /**
     * Asks it something.
     *
     * @param function network function, even
     * @return completion code, then the answer; at least one byte
     * @throws LinuxException if there is none, or it does not answer
     */
    byte[] command(int function, int command, byte[] bytes) throws LinuxException;

    @Override
    void close();

    /** The one behind a device of the kernel's, {@code /dev/ipmi0}, opened when it is first asked, and anew after it failed. */
    static Bmc at(Path device) {
        return new Bmc() {
            /** A controller answers within a fraction of a second, unless it restarts. */
            private static final long TIMEOUT_NS = 2_000_000_000L;

            private @Nullable IpmiDevice open;

            @Override
            public byte[] command(int function, int command, byte[] bytes) throws LinuxException {
                if (open == null) {
                    open = new IpmiDevice(device);
                }
                try {
                    return open.command(function, command, bytes, TIMEOUT_NS);
                } catch (LinuxException e) {
                    // A controller that restarts takes its device with it: the next command opens it anew.
                    close();
                    throw e;
                }
            }

            @Override
            public void close() {
                if (open != null) {
                    open.close();
                    open = null;
                }
            }
        };
    }
}
