package io.lockstep.replication.link;

import io.lockstep.replication.link.ControlMessage.DrillReport;
import io.lockstep.replication.link.ControlMessage.Goodbye;
import io.lockstep.replication.link.ControlMessage.LinkError;
import io.lockstep.replication.link.ControlMessage.Page;
import io.lockstep.replication.link.ControlMessage.Promoted;
import io.lockstep.replication.link.ControlMessage.Released;
import io.lockstep.replication.link.ControlMessage.ScrubMismatch;
import io.lockstep.replication.link.ControlMessage.SwitchoverAbort;
import io.lockstep.replication.link.ControlMessage.SwitchoverCommit;
import io.lockstep.replication.link.ControlMessage.SwitchoverPrepare;
import io.lockstep.replication.link.ControlMessage.SwitchoverReady;
import io.lockstep.replication.link.ControlMessage.VerifyResult;
import io.lockstep.replication.link.ControlMessage.VmDied;
import io.lockstep.replication.link.LinkException.Kind;
import io.lockstep.replication.wire.DrillReportDecoder;
import io.lockstep.replication.wire.DrillReportEncoder;
import io.lockstep.replication.wire.GoodbyeDecoder;
import io.lockstep.replication.wire.GoodbyeEncoder;
import io.lockstep.replication.wire.LinkErrorDecoder;
import io.lockstep.replication.wire.LinkErrorEncoder;
import io.lockstep.replication.wire.MessageHeaderDecoder;
import io.lockstep.replication.wire.MessageHeaderEncoder;
import io.lockstep.replication.wire.PromotedDecoder;
import io.lockstep.replication.wire.PromotedEncoder;
import io.lockstep.replication.wire.ReleasedDecoder;
import io.lockstep.replication.wire.ReleasedEncoder;
import io.lockstep.replication.wire.ScrubMismatchDecoder;
import io.lockstep.replication.wire.ScrubMismatchEncoder;
import io.lockstep.replication.wire.SwitchoverAbortDecoder;
import io.lockstep.replication.wire.SwitchoverAbortEncoder;
import io.lockstep.replication.wire.SwitchoverCommitDecoder;
import io.lockstep.replication.wire.SwitchoverCommitEncoder;
import io.lockstep.replication.wire.SwitchoverPrepareDecoder;
import io.lockstep.replication.wire.SwitchoverPrepareEncoder;
import io.lockstep.replication.wire.SwitchoverReadyDecoder;
import io.lockstep.replication.wire.SwitchoverReadyEncoder;
import io.lockstep.replication.wire.VerifyResultDecoder;
import io.lockstep.replication.wire.VerifyResultEncoder;
import io.lockstep.replication.wire.VmDiedDecoder;
import io.lockstep.replication.wire.VmDiedEncoder;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.agrona.DirectBuffer;
import org.agrona.ExpandableArrayBuffer;

/** {@link ControlMessage}s to bytes and back. Any thread; these messages are rare, so this allocates. */
public final class ControlCodec {
    /** u16 block, u16 reserved, u32 page. */
    private static final int PAGE_RECORD_BYTES = 8;

    private static final int PAGE_RECORD_PAGE_OFFSET = 4;

    private ControlCodec() {}

    /** Sends a message, and flushes. */
    public static void send(FrameChannel channel, ControlMessage message) throws LinkException {
        ExpandableArrayBuffer buffer = new ExpandableArrayBuffer();
        channel.send(buffer, 0, encode(message, buffer));
        channel.flush();
    }

    /** Writes a message at the beginning of the buffer and returns its length. Text that is too long is cut. */
    public static int encode(ControlMessage message, ExpandableArrayBuffer target) {
        MessageHeaderEncoder header = new MessageHeaderEncoder();
        int body;
        if (message instanceof VmDied m) {
            byte[] reason = text(m.reason());
            body = new VmDiedEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .committedEpoch(m.committedEpoch())
                    .putReason(reason, 0, reason.length)
                    .encodedLength();
        } else if (message instanceof Released m) {
            byte[] reason = text(m.reason());
            body = new ReleasedEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .discard(flag(m.discard()))
                    .putReason(reason, 0, reason.length)
                    .encodedLength();
        } else if (message instanceof Goodbye m) {
            byte[] reason = text(m.reason());
            body = new GoodbyeEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .putReason(reason, 0, reason.length)
                    .encodedLength();
        } else if (message instanceof VerifyResult m) {
            byte[] pages = pages(m.differing());
            body = new VerifyResultEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .epoch(m.epoch())
                    .pagesCompared(m.pagesCompared())
                    .pagesDiffering(m.pagesDiffering())
                    .putDiffering(pages, 0, pages.length)
                    .encodedLength();
        } else if (message instanceof ScrubMismatch m) {
            byte[] pages = pages(m.differing());
            body = new ScrubMismatchEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .epoch(m.epoch())
                    .putDiffering(pages, 0, pages.length)
                    .encodedLength();
        } else if (message instanceof Promoted m) {
            body = new PromotedEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .epoch(m.epoch())
                    .tookNs(m.tookNs())
                    .encodedLength();
        } else if (message instanceof LinkError m) {
            byte[] code = MessageText.encodeCut(m.code(), MessageText.NAME_BYTES_MAX);
            byte[] cause = text(m.cause());
            body = new LinkErrorEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .putCode(code, 0, code.length)
                    .putCause(cause, 0, cause.length)
                    .encodedLength();
        } else if (message instanceof DrillReport m) {
            byte[] cause = text(m.cause());
            body = new DrillReportEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .wallMs(m.wallMs())
                    .state((short) m.state())
                    .putCause(cause, 0, cause.length)
                    .encodedLength();
        } else {
            body = encodeSwitchover(message, target, header);
        }
        return MessageHeaderEncoder.ENCODED_LENGTH + body;
    }

    private static int encodeSwitchover(
            ControlMessage message, ExpandableArrayBuffer target, MessageHeaderEncoder header) {
        if (message instanceof SwitchoverPrepare m) {
            return new SwitchoverPrepareEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .epoch(m.epoch())
                    .encodedLength();
        }
        if (message instanceof SwitchoverReady m) {
            byte[] cause = text(m.cause());
            return new SwitchoverReadyEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .epoch(m.epoch())
                    .ready(flag(m.ready()))
                    .putCause(cause, 0, cause.length)
                    .encodedLength();
        }
        if (message instanceof SwitchoverCommit m) {
            return new SwitchoverCommitEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .epoch(m.epoch())
                    .encodedLength();
        }
        if (message instanceof SwitchoverAbort m) {
            byte[] reason = text(m.reason());
            return new SwitchoverAbortEncoder()
                    .wrapAndApplyHeader(target, 0, header)
                    .epoch(m.epoch())
                    .putReason(reason, 0, reason.length)
                    .encodedLength();
        }
        throw new IllegalArgumentException("no encoding for " + message);
    }

    /**
     * Reads and judges a message.
     *
     * @throws LinkException those of {@link MessageShape}, {@code message-field-too-long}, {@code message-text}, {@code message-value}, and
     *     {@code message-type} if it is none of the control messages
     */
    public static ControlMessage decode(DirectBuffer buffer, int offset, int length) throws LinkException {
        int template = MessageShape.check(buffer, offset, length);
        MessageHeaderDecoder header = new MessageHeaderDecoder();
        switch (template) {
            case VmDiedDecoder.TEMPLATE_ID -> {
                VmDiedDecoder m = new VmDiedDecoder().wrapAndApplyHeader(buffer, offset, header);
                return new VmDied(m.committedEpoch(), text("reason", m.reasonLength(), m::getReason));
            }
            case ReleasedDecoder.TEMPLATE_ID -> {
                ReleasedDecoder m = new ReleasedDecoder().wrapAndApplyHeader(buffer, offset, header);
                return new Released(flag("discard", m.discard()), text("reason", m.reasonLength(), m::getReason));
            }
            case GoodbyeDecoder.TEMPLATE_ID -> {
                GoodbyeDecoder m = new GoodbyeDecoder().wrapAndApplyHeader(buffer, offset, header);
                return new Goodbye(text("reason", m.reasonLength(), m::getReason));
            }
            case VerifyResultDecoder.TEMPLATE_ID -> {
                VerifyResultDecoder m = new VerifyResultDecoder().wrapAndApplyHeader(buffer, offset, header);
                return new VerifyResult(
                        m.epoch(), m.pagesCompared(), m.pagesDiffering(), pages(m.differingLength(), m::getDiffering));
            }
            case ScrubMismatchDecoder.TEMPLATE_ID -> {
                ScrubMismatchDecoder m = new ScrubMismatchDecoder().wrapAndApplyHeader(buffer, offset, header);
                return new ScrubMismatch(m.epoch(), pages(m.differingLength(), m::getDiffering));
            }
            case PromotedDecoder.TEMPLATE_ID -> {
                PromotedDecoder m = new PromotedDecoder().wrapAndApplyHeader(buffer, offset, header);
                return new Promoted(m.epoch(), m.tookNs());
            }
            case DrillReportDecoder.TEMPLATE_ID -> {
                DrillReportDecoder m = new DrillReportDecoder().wrapAndApplyHeader(buffer, offset, header);
                if (m.state() > DrillReport.OVERDUE) {
                    throw new LinkException(
                            Kind.CORRUPT, "message-value", "state " + m.state() + " > " + DrillReport.OVERDUE);
                }
                return new DrillReport(m.wallMs(), m.state(), text("cause", m.causeLength(), m::getCause));
            }
            case LinkErrorDecoder.TEMPLATE_ID -> {
                LinkErrorDecoder m = new LinkErrorDecoder().wrapAndApplyHeader(buffer, offset, header);
                String code = MessageText.decode("code", m.codeLength(), MessageText.NAME_BYTES_MAX, m::getCode);
                return new LinkError(code, text("cause", m.causeLength(), m::getCause));
            }
            default -> {
                return decodeSwitchover(template, buffer, offset, header);
            }
        }
    }

    private static ControlMessage decodeSwitchover(
            int template, DirectBuffer buffer, int offset, MessageHeaderDecoder header) throws LinkException {
        switch (template) {
            case SwitchoverPrepareDecoder.TEMPLATE_ID -> {
                return new SwitchoverPrepare(new SwitchoverPrepareDecoder()
                        .wrapAndApplyHeader(buffer, offset, header)
                        .epoch());
            }
            case SwitchoverReadyDecoder.TEMPLATE_ID -> {
                SwitchoverReadyDecoder m = new SwitchoverReadyDecoder().wrapAndApplyHeader(buffer, offset, header);
                return new SwitchoverReady(
                        m.epoch(), flag("ready", m.ready()), text("cause", m.causeLength(), m::getCause));
            }
            case SwitchoverCommitDecoder.TEMPLATE_ID -> {
                return new SwitchoverCommit(new SwitchoverCommitDecoder()
                        .wrapAndApplyHeader(buffer, offset, header)
                        .epoch());
            }
            case SwitchoverAbortDecoder.TEMPLATE_ID -> {
                SwitchoverAbortDecoder m = new SwitchoverAbortDecoder().wrapAndApplyHeader(buffer, offset, header);
                return new SwitchoverAbort(m.epoch(), text("reason", m.reasonLength(), m::getReason));
            }
            default ->
                throw new LinkException(
                        Kind.CORRUPT, "message-type", "message type " + template + " is no control message");
        }
    }

    private static byte[] text(String value) {
        return MessageText.encodeCut(value, MessageText.TEXT_BYTES_MAX);
    }

    private static String text(String name, int bytes, MessageText.Field field) throws LinkException {
        return MessageText.decode(name, bytes, MessageText.TEXT_BYTES_MAX, field);
    }

    private static short flag(boolean value) {
        return (short) (value ? 1 : 0);
    }

    private static boolean flag(String name, int value) throws LinkException {
        if (value > 1) {
            throw new LinkException(Kind.CORRUPT, "message-value", name + " " + value + " > 1");
        }
        return value == 1;
    }

    private static byte[] pages(List<Page> pages) {
        int count = Math.min(pages.size(), ControlMessage.PAGES_MAX);
        ByteBuffer bytes = ByteBuffer.allocate(count * PAGE_RECORD_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (Page page : pages.subList(0, count)) {
            bytes.putShort((short) page.block()).putShort((short) 0).putInt((int) page.page());
        }
        return bytes.array();
    }

    private static List<Page> pages(int length, MessageText.Field field) throws LinkException {
        int bytesMax = ControlMessage.PAGES_MAX * PAGE_RECORD_BYTES;
        if (length % PAGE_RECORD_BYTES != 0 || length > bytesMax) {
            throw new LinkException(
                    Kind.CORRUPT,
                    "message-value",
                    "list of pages has " + length + " bytes: no multiple of " + PAGE_RECORD_BYTES + ", or > "
                            + bytesMax);
        }
        byte[] copy = new byte[length];
        field.get(copy, 0, length);
        ByteBuffer bytes = ByteBuffer.wrap(copy).order(ByteOrder.LITTLE_ENDIAN);
        List<Page> pages = new ArrayList<>(length / PAGE_RECORD_BYTES);
        for (int at = 0; at < length; at += PAGE_RECORD_BYTES) {
            int block = Short.toUnsignedInt(bytes.getShort(at));
            pages.add(new Page(block, Integer.toUnsignedLong(bytes.getInt(at + PAGE_RECORD_PAGE_OFFSET))));
        }
        return pages;
    }
}
