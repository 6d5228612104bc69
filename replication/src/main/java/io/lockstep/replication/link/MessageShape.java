package io.lockstep.replication.link;

import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.DrillReportDecoder;
import io.lockstep.replication.wire.EpochAckDecoder;
import io.lockstep.replication.wire.EpochBeginDecoder;
import io.lockstep.replication.wire.EpochEndDecoder;
import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.GoodbyeDecoder;
import io.lockstep.replication.wire.GroupSizeEncodingDecoder;
import io.lockstep.replication.wire.HeartbeatDecoder;
import io.lockstep.replication.wire.HeartbeatReplyDecoder;
import io.lockstep.replication.wire.HelloDecoder;
import io.lockstep.replication.wire.HelloReplyDecoder;
import io.lockstep.replication.wire.HelloStatus;
import io.lockstep.replication.wire.LinkErrorDecoder;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.PageBatchDecoder;
import io.lockstep.replication.wire.PromotedDecoder;
import io.lockstep.replication.wire.ReleasedDecoder;
import io.lockstep.replication.wire.RunState;
import io.lockstep.replication.wire.ScrubMismatchDecoder;
import io.lockstep.replication.wire.SwitchoverAbortDecoder;
import io.lockstep.replication.wire.SwitchoverCommitDecoder;
import io.lockstep.replication.wire.SwitchoverPrepareDecoder;
import io.lockstep.replication.wire.SwitchoverReadyDecoder;
import io.lockstep.replication.wire.VerifyHashesDecoder;
import io.lockstep.replication.wire.VerifyResultDecoder;
import io.lockstep.replication.wire.VmDiedDecoder;
import java.nio.ByteOrder;
import java.util.List;
import org.agrona.DirectBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Proves that a message's bytes have the shape of its type: fixed block, groups and variable fields fill it exactly, and its enumerations hold
 * known values. A generated decoder wrapped over a message that passed reads nothing outside of it and throws nothing. Any thread; allocates
 * nothing but errors.
 *
 * <p>Errors: {@code schema-unknown}, {@code schema-too-old}, {@code schema-too-new}, {@code message-type}, {@code message-length},
 * {@code message-value}.
 */
public final class MessageShape {
    private static final int VARIABLE_PREFIX_BYTES = 4;
    private static final int TEMPLATES = 32;
    private static final @Nullable MessageShape[] SHAPES = new @Nullable MessageShape[TEMPLATES];

    static {
        hello();
        shape("HelloReply", HelloReplyDecoder.TEMPLATE_ID, HelloReplyDecoder.BLOCK_LENGTH, 2)
                .before(HelloReplyDecoder.imagesIdSinceVersion(), HelloReplyDecoder.imagesIdEncodingOffset())
                .values(HelloReplyDecoder.statusEncodingOffset(), HelloStatus.PROMOTED.value())
                .values(HelloReplyDecoder.ackLevelEncodingOffset(), AckLevel.JOURNAL.value());
        shape("EpochBegin", EpochBeginDecoder.TEMPLATE_ID, EpochBeginDecoder.BLOCK_LENGTH, 0)
                .values(EpochBeginDecoder.kindEncodingOffset(), EpochKind.DELTA.value());
        shape("PageBatch", PageBatchDecoder.TEMPLATE_ID, PageBatchDecoder.BLOCK_LENGTH, 1);
        shape("EpochEnd", EpochEndDecoder.TEMPLATE_ID, EpochEndDecoder.BLOCK_LENGTH, 2)
                .values(EpochEndDecoder.kindEncodingOffset(), EpochKind.DELTA.value())
                .values(EpochEndDecoder.runStateEncodingOffset(), RunState.PAUSED.value());
        shape("EpochAck", EpochAckDecoder.TEMPLATE_ID, EpochAckDecoder.BLOCK_LENGTH, 0);
        shape("Heartbeat", HeartbeatDecoder.TEMPLATE_ID, HeartbeatDecoder.BLOCK_LENGTH, 0)
                .before(HeartbeatDecoder.healthSinceVersion(), HeartbeatDecoder.healthEncodingOffset());
        shape("HeartbeatReply", HeartbeatReplyDecoder.TEMPLATE_ID, HeartbeatReplyDecoder.BLOCK_LENGTH, 0)
                .before(HeartbeatReplyDecoder.healthSinceVersion(), HeartbeatReplyDecoder.healthEncodingOffset());
        shape("VmDied", VmDiedDecoder.TEMPLATE_ID, VmDiedDecoder.BLOCK_LENGTH, 1);
        shape("Released", ReleasedDecoder.TEMPLATE_ID, ReleasedDecoder.BLOCK_LENGTH, 1);
        shape("Goodbye", GoodbyeDecoder.TEMPLATE_ID, GoodbyeDecoder.BLOCK_LENGTH, 1);
        shape("VerifyHashes", VerifyHashesDecoder.TEMPLATE_ID, VerifyHashesDecoder.BLOCK_LENGTH, 1);
        shape("VerifyResult", VerifyResultDecoder.TEMPLATE_ID, VerifyResultDecoder.BLOCK_LENGTH, 1);
        shape("ScrubMismatch", ScrubMismatchDecoder.TEMPLATE_ID, ScrubMismatchDecoder.BLOCK_LENGTH, 1);
        shape("SwitchoverPrepare", SwitchoverPrepareDecoder.TEMPLATE_ID, SwitchoverPrepareDecoder.BLOCK_LENGTH, 0);
        shape("SwitchoverReady", SwitchoverReadyDecoder.TEMPLATE_ID, SwitchoverReadyDecoder.BLOCK_LENGTH, 1);
        shape("SwitchoverCommit", SwitchoverCommitDecoder.TEMPLATE_ID, SwitchoverCommitDecoder.BLOCK_LENGTH, 0);
        shape("SwitchoverAbort", SwitchoverAbortDecoder.TEMPLATE_ID, SwitchoverAbortDecoder.BLOCK_LENGTH, 1);
        shape("Promoted", PromotedDecoder.TEMPLATE_ID, PromotedDecoder.BLOCK_LENGTH, 0);
        shape("DrillReport", DrillReportDecoder.TEMPLATE_ID, DrillReportDecoder.BLOCK_LENGTH, 1);
        shape("LinkError", LinkErrorDecoder.TEMPLATE_ID, LinkErrorDecoder.BLOCK_LENGTH, 2);
    }

    private final String name;
    private final int blockLength;
    private final int variableFields;
    private List<Group> groups = List.of();
    private int firstEnumOffset = -1;
    private int firstEnumMax;
    private int secondEnumOffset = -1;
    private int secondEnumMax;
    private int extendedInVersion;
    private int blockLengthBefore;
    private int variableFieldsBefore;

    /** A repeating group, by the lengths of each of its entries. */
    private record Group(int blockLength, int variableFields) {}

    private MessageShape(String name, int blockLength, int variableFields) {
        this.name = name;
        this.blockLength = blockLength;
        this.variableFields = variableFields;
    }

    /** Checks one message, and returns its template id. */
    public static int check(DirectBuffer buffer, int offset, int length) throws LinkException {
        if (length < MessageHeaderDecoder.ENCODED_LENGTH) {
            throw corrupt("message-length", "message length " + length + " < " + MessageHeaderDecoder.ENCODED_LENGTH);
        }
        int schema = unsignedShort(buffer, offset + MessageHeaderDecoder.schemaIdEncodingOffset());
        if (schema != HelloDecoder.SCHEMA_ID) {
            throw corrupt("schema-unknown", "message schema " + schema + " != " + HelloDecoder.SCHEMA_ID);
        }
        ProtocolVersion.checkSchema(unsignedShort(buffer, offset + MessageHeaderDecoder.versionEncodingOffset()));
        int template = unsignedShort(buffer, offset + MessageHeaderDecoder.templateIdEncodingOffset());
        MessageShape shape = template < TEMPLATES ? SHAPES[template] : null;
        if (shape == null) {
            throw corrupt("message-type", "unknown message type " + template);
        }
        shape.checkBody(buffer, offset, length);
        return template;
    }

    private void checkBody(DirectBuffer buffer, int offset, int length) throws LinkException {
        int block = unsignedShort(buffer, offset + MessageHeaderDecoder.blockLengthEncodingOffset());
        int version = unsignedShort(buffer, offset + MessageHeaderDecoder.versionEncodingOffset());
        int expected = version < extendedInVersion ? blockLengthBefore : blockLength;
        if (block != expected) {
            throw corrupt("message-length", name + " block length " + block + " != " + expected);
        }
        int end = offset + length;
        int body = offset + MessageHeaderDecoder.ENCODED_LENGTH;
        int at = body + expected;
        if (at > end) {
            throw truncated(length, at - offset);
        }
        for (int i = 0; i < groups.size(); i++) {
            at = groupEnd(groups.get(i), buffer, offset, at, end);
        }
        int fields = version < extendedInVersion ? variableFieldsBefore : variableFields;
        for (int i = 0; i < fields; i++) {
            at = variableEnd(buffer, offset, at, end);
        }
        if (at != end) {
            throw corrupt("message-length", name + " length " + length + " != " + (at - offset) + " of its fields");
        }
        checkValue(buffer, body, firstEnumOffset, firstEnumMax);
        checkValue(buffer, body, secondEnumOffset, secondEnumMax);
    }

    private int groupEnd(Group group, DirectBuffer buffer, int offset, int start, int end) throws LinkException {
        int at = start + GroupSizeEncodingDecoder.ENCODED_LENGTH;
        if (at > end) {
            throw truncated(end - offset, at - offset);
        }
        int block = unsignedShort(buffer, start + GroupSizeEncodingDecoder.blockLengthEncodingOffset());
        if (block != group.blockLength) {
            throw corrupt("message-length", name + " group block length " + block + " != " + group.blockLength);
        }
        int count = unsignedShort(buffer, start + GroupSizeEncodingDecoder.numInGroupEncodingOffset());
        for (int i = 0; i < count; i++) {
            at += group.blockLength;
            if (at > end) {
                throw truncated(end - offset, at - offset);
            }
            for (int field = 0; field < group.variableFields; field++) {
                at = variableEnd(buffer, offset, at, end);
            }
        }
        return at;
    }

    private int variableEnd(DirectBuffer buffer, int offset, int at, int end) throws LinkException {
        if (end - at < VARIABLE_PREFIX_BYTES) {
            throw truncated(end - offset, at + VARIABLE_PREFIX_BYTES - offset);
        }
        long bytes = Integer.toUnsignedLong(buffer.getInt(at, ByteOrder.LITTLE_ENDIAN));
        if (bytes > end - at - VARIABLE_PREFIX_BYTES) {
            throw truncated(end - offset, at + VARIABLE_PREFIX_BYTES - offset + bytes);
        }
        return at + VARIABLE_PREFIX_BYTES + (int) bytes;
    }

    private void checkValue(DirectBuffer buffer, int body, int enumOffset, int enumMax) throws LinkException {
        if (enumOffset >= 0) {
            int value = Byte.toUnsignedInt(buffer.getByte(body + enumOffset));
            if (value > enumMax) {
                throw corrupt(
                        "message-value", name + " has value " + value + " > " + enumMax + " at offset " + enumOffset);
            }
        }
    }

    private LinkException truncated(int length, long needed) {
        return corrupt("message-length", name + " length " + length + " < " + needed + " of its fields");
    }

    private static void hello() {
        MessageShape hello = shape("Hello", HelloDecoder.TEMPLATE_ID, HelloDecoder.BLOCK_LENGTH, 11)
                .before(HelloDecoder.sameHostForTestingSinceVersion(), HelloDecoder.sameHostForTestingEncodingOffset());
        // The digests of the machine's ids came last, and the shared disks.
        hello.variableFieldsBefore = 7;
        hello.groups = List.of(
                new Group(HelloDecoder.RamBlocksDecoder.sbeBlockLength(), 1),
                new Group(HelloDecoder.DisksDecoder.sbeBlockLength(), 3));
    }

    private static MessageShape shape(String name, int template, int blockLength, int variableFields) {
        MessageShape shape = new MessageShape(name, blockLength, variableFields);
        SHAPES[template] = shape;
        return shape;
    }

    /** Its block was shorter before a version of the schema. */
    private MessageShape before(int version, int olderBlockLength) {
        extendedInVersion = version;
        blockLengthBefore = olderBlockLength;
        variableFieldsBefore = variableFields;
        return this;
    }

    private MessageShape values(int enumOffset, int enumMax) {
        if (firstEnumOffset < 0) {
            firstEnumOffset = enumOffset;
            firstEnumMax = enumMax;
        } else {
            secondEnumOffset = enumOffset;
            secondEnumMax = enumMax;
        }
        return this;
    }

    private static int unsignedShort(DirectBuffer buffer, int index) {
        return Short.toUnsignedInt(buffer.getShort(index, ByteOrder.LITTLE_ENDIAN));
    }

    private static LinkException corrupt(String code, String message) {
        return new LinkException(Kind.CORRUPT, code, message);
    }
}
