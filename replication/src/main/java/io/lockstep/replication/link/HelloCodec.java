package io.lockstep.replication.link;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.RamBlock;
import io.lockstep.replication.ReplicatedDisk;
import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.wire.HelloDecoder;
import io.lockstep.replication.wire.HelloEncoder;
import io.lockstep.replication.wire.HelloReplyDecoder;
import io.lockstep.replication.wire.HelloReplyEncoder;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.agrona.DirectBuffer;
import org.agrona.ExpandableArrayBuffer;

/**
 * The first message of each side, to bytes and back. The version is judged before anything else, so that a peer of another version gets that
 * answer and no complaint about a field. Any thread.
 *
 * <p>Errors of decoding: those of {@link MessageShape} and {@link ProtocolVersion}, {@code message-type}, {@code message-field-too-long},
 * {@code message-text}, {@code hello-ram-blocks}, {@code hello-value}.
 */
public final class HelloCodec {
    private static final int PAGE_BYTES_HUGE_MAX = 1 << 30;
    private static final long EPOCH_NONE = -1;

    private HelloCodec() {}

    /** Sends a Hello, and flushes. */
    public static void send(FrameChannel channel, SessionHello hello) throws LockstepException {
        ExpandableArrayBuffer buffer = new ExpandableArrayBuffer();
        channel.send(buffer, 0, encode(hello, buffer));
        channel.flush();
    }

    /** Sends a HelloReply, and flushes. */
    public static void send(FrameChannel channel, SessionReply reply) throws LockstepException {
        ExpandableArrayBuffer buffer = new ExpandableArrayBuffer();
        channel.send(buffer, 0, encode(reply, buffer));
        channel.flush();
    }

    /**
     * Writes a message at the beginning of the buffer and returns its length.
     *
     * @throws LockstepException {@code message-field-too-long} or {@code hello-too-long}
     */
    public static int encode(SessionHello hello, ExpandableArrayBuffer target) throws LockstepException {
        HelloEncoder encoder = new HelloEncoder().wrapAndApplyHeader(target, 0, new MessageHeaderEncoder());
        encoder.protocolVersion(hello.protocolVersion())
                .vmIdHigh(hello.vmIdHigh())
                .vmIdLow(hello.vmIdLow())
                .lastAckedEpoch(hello.lastAckedEpoch())
                .lastSentEpoch(hello.lastSentEpoch())
                .failureTimeoutMs(hello.failureTimeoutMs())
                .agentRestartMs(hello.agentRestartMs())
                .qemuUid(hello.qemuUid())
                .qemuGid(hello.qemuGid())
                .sameHostForTesting((short) (hello.host().sameHostForTesting() ? 1 : 0))
                .imagesId(hello.imagesId());
        HelloEncoder.RamBlocksEncoder blocks =
                encoder.ramBlocksCount(hello.ramBlocks().size());
        for (RamBlock block : hello.ramBlocks()) {
            byte[] name = MessageText.encode("RAM block name", block.name(), MessageText.NAME_BYTES_MAX);
            blocks.next()
                    .lengthBytes(block.lengthBytes())
                    .pageBytes(block.pageBytes())
                    .main((short) (block.main() ? 1 : 0))
                    .putName(name, 0, name.length);
        }
        HelloEncoder.DisksEncoder disks = encoder.disksCount(hello.disks().size());
        for (ReplicatedDisk disk : hello.disks()) {
            byte[] device = MessageText.encode("disk", disk.device(), MessageText.NAME_BYTES_MAX);
            byte[] file = MessageText.encode("disk file", disk.file(), MessageText.PATH_BYTES_MAX);
            byte[] format = MessageText.encode("disk format", disk.format(), MessageText.NAME_BYTES_MAX);
            disks.next()
                    .lengthBytes(disk.lengthBytes())
                    .putDevice(device, 0, device.length)
                    .putFile(file, 0, file.length)
                    .putFormat(format, 0, format.length);
        }
        byte[] vmName = MessageText.encode("VM name", hello.vmName(), MessageText.NAME_BYTES_MAX);
        encoder.putVmName(vmName, 0, vmName.length);
        byte[] agent = MessageText.encode("agent version", hello.agentVersion(), MessageText.NAME_BYTES_MAX);
        encoder.putAgentVersion(agent, 0, agent.length);
        byte[] qemu = MessageText.encode("QEMU version", hello.qemuVersion(), MessageText.NAME_BYTES_MAX);
        encoder.putQemuVersion(qemu, 0, qemu.length);
        byte[] machine = MessageText.encode("machine type", hello.machineType(), MessageText.NAME_BYTES_MAX);
        encoder.putMachineType(machine, 0, machine.length);
        byte[] command = listBytes("command line", hello.commandLine());
        encoder.putCommandLine(command, 0, command.length);
        byte[] directory =
                MessageText.encode("working directory", hello.workingDirectory(), MessageText.PATH_BYTES_MAX);
        encoder.putWorkingDirectory(directory, 0, directory.length);
        byte[] devices = listBytes("devices", hello.devices());
        encoder.putDevices(devices, 0, devices.length);
        HostIdentity host = hello.host();
        byte[] machineId = MessageText.encode("machine-id", host.machineId(), MessageText.NAME_BYTES_MAX);
        encoder.putMachineId(machineId, 0, machineId.length);
        byte[] bootId = MessageText.encode("boot-id", host.bootId(), MessageText.NAME_BYTES_MAX);
        encoder.putBootId(bootId, 0, bootId.length);
        byte[] uuid = MessageText.encode("product UUID", host.productUuid(), MessageText.NAME_BYTES_MAX);
        encoder.putProductUuid(uuid, 0, uuid.length);
        byte[] shared = listBytes("shared disks", hello.sharedDisks());
        encoder.putSharedDisks(shared, 0, shared.length);
        int length = MessageHeaderEncoder.ENCODED_LENGTH + encoder.encodedLength();
        if (length > FrameLayout.MESSAGE_BYTES_MAX) {
            throw new LockstepException(
                    "hello-too-long",
                    "Hello of VM " + hello.vmName() + " has " + length + " bytes > " + FrameLayout.MESSAGE_BYTES_MAX
                            + ": its command line has " + command.length + ". Shorten it.");
        }
        return length;
    }

    /** Writes a message at the beginning of the buffer and returns its length. A cause that is too long is cut. */
    public static int encode(SessionReply reply, ExpandableArrayBuffer target) throws LockstepException {
        HelloReplyEncoder encoder = new HelloReplyEncoder().wrapAndApplyHeader(target, 0, new MessageHeaderEncoder());
        byte[] code = MessageText.encode("code", reply.code(), MessageText.NAME_BYTES_MAX);
        byte[] cause = MessageText.encodeCut(reply.cause(), MessageText.TEXT_BYTES_MAX);
        encoder.protocolVersion(reply.protocolVersion())
                .status(reply.status())
                .committedEpoch(reply.committedEpoch())
                .ackLevel(reply.ackLevel())
                .promotionWindowMs(reply.promotionWindowMs())
                .imagesId(reply.imagesId())
                .putCode(code, 0, code.length)
                .putCause(cause, 0, cause.length);
        return MessageHeaderEncoder.ENCODED_LENGTH + encoder.encodedLength();
    }

    /** Reads and judges a Hello. */
    public static SessionHello decodeHello(DirectBuffer buffer, int offset, int length) throws LinkException {
        checkType(buffer, offset, length, HelloDecoder.TEMPLATE_ID, "Hello");
        HelloDecoder decoder = new HelloDecoder().wrapAndApplyHeader(buffer, offset, new MessageHeaderDecoder());
        ProtocolVersion.check(decoder.protocolVersion());
        checkEpoch("lastAckedEpoch", decoder.lastAckedEpoch());
        checkEpoch("lastSentEpoch", decoder.lastSentEpoch());
        List<RamBlock> blocks = blocks(decoder.ramBlocks());
        List<ReplicatedDisk> disks = disks(decoder.disks());
        String vmName = name("VM name", decoder.vmNameLength(), decoder::getVmName);
        String agent = name("agent version", decoder.agentVersionLength(), decoder::getAgentVersion);
        String qemu = name("QEMU version", decoder.qemuVersionLength(), decoder::getQemuVersion);
        String machine = name("machine type", decoder.machineTypeLength(), decoder::getMachineType);
        String command = MessageText.decode(
                "command line", decoder.commandLineLength(), MessageText.COMMAND_BYTES_MAX, decoder::getCommandLine);
        String directory = MessageText.decode(
                "working directory",
                decoder.workingDirectoryLength(),
                MessageText.PATH_BYTES_MAX,
                decoder::getWorkingDirectory);
        String devices = MessageText.decode(
                "devices", decoder.devicesLength(), MessageText.COMMAND_BYTES_MAX, decoder::getDevices);
        HostIdentity host = new HostIdentity(
                name("machine-id", decoder.machineIdLength(), decoder::getMachineId),
                name("boot-id", decoder.bootIdLength(), decoder::getBootId),
                name("product UUID", decoder.productUuidLength(), decoder::getProductUuid),
                decoder.sameHostForTesting() == 1);
        String shared = MessageText.decode(
                "shared disks", decoder.sharedDisksLength(), MessageText.COMMAND_BYTES_MAX, decoder::getSharedDisks);
        return new SessionHello(
                decoder.protocolVersion(),
                decoder.vmIdHigh(),
                decoder.vmIdLow(),
                decoder.lastAckedEpoch(),
                decoder.lastSentEpoch(),
                id(decoder.imagesId(), HelloDecoder.imagesIdNullValue()),
                decoder.failureTimeoutMs(),
                decoder.agentRestartMs(),
                decoder.qemuUid(),
                decoder.qemuGid(),
                blocks,
                disks,
                list("shared disks", shared),
                vmName,
                agent,
                qemu,
                machine,
                list("command line", command),
                directory,
                list("devices", devices),
                host);
    }

    /** Reads and judges a HelloReply. A refusal is returned, not thrown. */
    public static SessionReply decodeReply(DirectBuffer buffer, int offset, int length) throws LinkException {
        checkType(buffer, offset, length, HelloReplyDecoder.TEMPLATE_ID, "HelloReply");
        HelloReplyDecoder decoder =
                new HelloReplyDecoder().wrapAndApplyHeader(buffer, offset, new MessageHeaderDecoder());
        checkEpoch("committedEpoch", decoder.committedEpoch());
        String code = name("code", decoder.codeLength(), decoder::getCode);
        String cause =
                MessageText.decode("cause", decoder.causeLength(), MessageText.TEXT_BYTES_MAX, decoder::getCause);
        SessionReply reply = new SessionReply(
                decoder.protocolVersion(),
                decoder.status(),
                decoder.committedEpoch(),
                decoder.ackLevel(),
                decoder.promotionWindowMs(),
                id(decoder.imagesId(), HelloReplyDecoder.imagesIdNullValue()),
                code,
                cause);
        // A refusal for the version's sake comes from a peer of another version: its words say more than ours.
        if (code.isEmpty()) {
            ProtocolVersion.check(reply.protocolVersion());
        }
        return reply;
    }

    /** What an older version does not say. */
    private static long id(long value, long none) {
        return value == none ? 0 : value;
    }

    private static List<RamBlock> blocks(HelloDecoder.RamBlocksDecoder group) throws LinkException {
        int count = group.count();
        if (count < 1 || count > RamBlock.BLOCKS_MAX) {
            throw corrupt("hello-ram-blocks", "RAM block count " + count + " not in 1.." + RamBlock.BLOCKS_MAX);
        }
        List<RamBlock> blocks = new ArrayList<>(count);
        Set<String> names = new HashSet<>();
        for (HelloDecoder.RamBlocksDecoder block : group) {
            long lengthBytes = block.lengthBytes();
            long pageBytes = block.pageBytes();
            int main = block.main();
            String name = name("RAM block name", block.nameLength(), block::getName);
            long pages = Long.divideUnsigned(lengthBytes, RamBlock.PAGE_BYTES);
            if (lengthBytes <= 0 || lengthBytes % RamBlock.PAGE_BYTES != 0 || pages > Integer.MAX_VALUE) {
                throw corrupt(
                        "hello-ram-blocks",
                        "RAM block " + name + " has length " + Long.toUnsignedString(lengthBytes) + ", not 1.."
                                + Integer.MAX_VALUE + " pages of " + RamBlock.PAGE_BYTES);
            }
            if (pageBytes < RamBlock.PAGE_BYTES || pageBytes > PAGE_BYTES_HUGE_MAX || Long.bitCount(pageBytes) != 1) {
                throw corrupt("hello-ram-blocks", "RAM block " + name + " has page size " + pageBytes);
            }
            if (main > 1) {
                throw corrupt("hello-ram-blocks", "RAM block " + name + " has main " + main + " > 1");
            }
            if (name.isEmpty() || !names.add(name)) {
                throw corrupt("hello-ram-blocks", "RAM block name '" + name + "' is empty or comes twice");
            }
            blocks.add(new RamBlock(blocks.size(), name, lengthBytes, (int) pageBytes, main == 1));
        }
        return blocks;
    }

    private static List<ReplicatedDisk> disks(HelloDecoder.DisksDecoder group) throws LinkException {
        int count = group.count();
        if (count > ReplicatedDisk.DISKS_MAX) {
            throw corrupt("hello-disks", "disk count " + count + " > " + ReplicatedDisk.DISKS_MAX);
        }
        List<ReplicatedDisk> disks = new ArrayList<>(count);
        for (HelloDecoder.DisksDecoder disk : group) {
            long lengthBytes = disk.lengthBytes();
            String device = name("disk", disk.deviceLength(), disk::getDevice);
            String file = MessageText.decode("disk file", disk.fileLength(), MessageText.PATH_BYTES_MAX, disk::getFile);
            String format = name("disk format", disk.formatLength(), disk::getFormat);
            try {
                disks.add(new ReplicatedDisk(device, file, format, lengthBytes));
            } catch (IllegalArgumentException e) {
                throw corrupt("hello-disks", String.valueOf(e.getMessage()));
            }
        }
        return disks;
    }

    private static byte[] listBytes(String name, List<String> texts) throws LockstepException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (String text : texts) {
            if (text.indexOf('\0') >= 0) {
                throw new LockstepException("hello-value", "an element of " + name + " holds a NUL");
            }
            bytes.writeBytes(MessageText.encode(name, text, MessageText.COMMAND_BYTES_MAX));
            bytes.write(0);
        }
        if (bytes.size() > MessageText.COMMAND_BYTES_MAX) {
            throw new LockstepException(
                    "message-field-too-long",
                    name + " has " + bytes.size() + " bytes > " + MessageText.COMMAND_BYTES_MAX
                            + " that the protocol carries. Shorten it.");
        }
        return bytes.toByteArray();
    }

    private static List<String> list(String name, String joined) throws LinkException {
        List<String> texts = new ArrayList<>();
        int start = 0;
        while (start < joined.length()) {
            int end = joined.indexOf('\0', start);
            if (end < 0) {
                throw corrupt("hello-value", "the last element of " + name + " is not ended by NUL");
            }
            texts.add(joined.substring(start, end));
            start = end + 1;
        }
        return texts;
    }

    private static void checkType(DirectBuffer buffer, int offset, int length, int expected, String name)
            throws LinkException {
        int template = MessageShape.check(buffer, offset, length);
        if (template != expected) {
            throw corrupt("message-type", "message type " + template + " != " + expected + " (" + name + ")");
        }
    }

    private static void checkEpoch(String name, long epoch) throws LinkException {
        if (epoch < EPOCH_NONE) {
            throw corrupt("hello-value", name + " " + epoch + " < " + EPOCH_NONE);
        }
    }

    private static String name(String what, int bytes, MessageText.Field field) throws LinkException {
        return MessageText.decode(what, bytes, MessageText.NAME_BYTES_MAX, field);
    }

    private static LinkException corrupt(String code, String message) {
        return new LinkException(Kind.CORRUPT, code, message);
    }
}
