package io.lockstep.replication.hypervisor;

import io.lockstep.replication.LockstepException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Makes what {@code xen-save-devices-state} writes loadable by {@code migrate-incoming}, which wants a configuration section and a
 * description. QEMU's {@code migration/savevm.c}; all numbers big endian.
 *
 * <pre>
 *   saved      'QEVM' | u32 3 |                                        sections ... | 00 (end of file)
 *   loadable   'QEVM' | u32 3 | 07 | u32 length | machine type |       sections ... | 00 | 06 | u32 0
 * </pre>
 */
public final class DeviceState {
    private static final int MAGIC = 0x5145564d;
    private static final int VERSION = 3;
    private static final int HEADER_BYTES = 8;
    private static final byte SECTION_CONFIGURATION = 7;
    private static final byte SECTION_DESCRIPTION = 6;
    private static final byte SECTION_EOF = 0;

    private DeviceState() {}

    /**
     * The loadable stream.
     *
     * @param saved from position to limit, left as it is
     * @param machineType resolved, e.g. {@code pc-q35-7.2}
     * @return a new direct buffer
     * @throws LockstepException {@code device-state-corrupt}
     */
    public static ByteBuffer loadable(ByteBuffer saved, String machineType) throws LockstepException {
        ByteBuffer in = saved.duplicate().order(ByteOrder.BIG_ENDIAN);
        int start = in.position();
        if (in.remaining() <= HEADER_BYTES || in.getInt(start) != MAGIC || in.getInt(start + 4) != VERSION) {
            throw new LockstepException(
                    "device-state-corrupt",
                    "Device state of " + in.remaining() + " bytes does not begin with QEVM version 3.");
        }
        if (in.get(in.limit() - 1) != SECTION_EOF) {
            throw new LockstepException(
                    "device-state-corrupt",
                    "Device state of " + in.remaining() + " bytes ends with " + in.get(in.limit() - 1)
                            + " != end of file 0.");
        }
        byte[] machine = machineType.getBytes(StandardCharsets.US_ASCII);
        ByteBuffer out = ByteBuffer.allocateDirect(in.remaining() + 1 + 4 + machine.length + 1 + 4);
        out.putInt(MAGIC).putInt(VERSION);
        out.put(SECTION_CONFIGURATION).putInt(machine.length).put(machine);
        out.put(in.position(start + HEADER_BYTES));
        out.put(SECTION_DESCRIPTION).putInt(0);
        return out.flip();
    }

    /** The resolved machine type of a QEMU, e.g. {@code pc-q35-7.2} for {@code -machine q35}. */
    public static String machineType(QmpConnection qmp) throws LockstepException {
        String type = qmp.execute(
                        "qom-get", qmp.arguments().put("path", "/machine").put("property", "type"))
                .asText();
        return type.endsWith("-machine") ? type.substring(0, type.length() - "-machine".length()) : type;
    }
}
