package io.lockstep.agent.cli;

import io.lockstep.agent.client.JsonTree;
import java.util.List;
import java.util.Locale;

/** A paragraph of {@code key:value} for each protection and replica. */
final class StatusText {
    private StatusText() {}

    static String protection(JsonTree p) {
        StringBuilder text = new StringBuilder();
        line(
                text,
                "%s role:primary state:%s pid:%s tracker:%s",
                p.get("vm").text(),
                state(p),
                p.get("pid").text(),
                p.get("tracker").text());
        JsonTree peer = p.get("peer");
        line(
                text,
                "  peer:%s address:%s connected:%s hardware:%s",
                peer.get("name").text(),
                peer.get("address").text(),
                peer.get("connected").bool() ? "yes" : "no",
                peer.get("health").text());
        line(
                text,
                "  epoch:%s acked:%s epochs of %s p99 %s  pause p50 %s p99 %s max %s  ack p50 %s p99 %s",
                p.get("epoch").text(),
                p.get("ackedEpoch").text(),
                Text.ms(p.get("epochMs").get("p50").number()),
                Text.ms(p.get("epochMs").get("p99").number()),
                Text.ms(p.get("pauseMs").get("p50").number()),
                Text.ms(p.get("pauseMs").get("p99").number()),
                Text.ms(p.get("pauseMs").get("max").number()),
                Text.ms(p.get("ackMs").get("p50").number()),
                Text.ms(p.get("ackMs").get("p99").number()));
        JsonTree parts = p.get("pauseParts");
        line(
                text,
                "  pause p50: stop and drain %s, device state %s, scan %s, copy %s, reading the state %s, start %s",
                Text.ms(parts.get("stopMs").get("p50").number()),
                Text.ms(parts.get("deviceStateMs").get("p50").number()),
                Text.ms(parts.get("scanMs").get("p50").number()),
                Text.ms(parts.get("copyMs").get("p50").number()),
                Text.ms(parts.get("stateMs").get("p50").number()),
                Text.ms(parts.get("startMs").get("p50").number()));
        line(
                text,
                "  memory:%s in %s blocks  dirty p50 %s max %s pages an epoch  sent %s",
                Text.bytes(p.get("ramBytes").number()),
                p.get("ramBlocks").text(),
                count(p.get("dirtyPages").get("p50")),
                count(p.get("dirtyPages").get("max")),
                Text.bytes(p.get("linkBytes").number()));
        JsonTree sync = p.get("initialSync");
        if (sync.get("complete").bool()) {
            line(
                    text,
                    "  full copy: %s in %s, %s/s, %s",
                    Text.bytes(sync.get("bytesDone").number()),
                    Text.duration(sync.get("ms").integer()),
                    Text.bytes(sync.get("bytesPerSecond").number()),
                    sync.get("passes").integer() == 1
                            ? "1 pass"
                            : sync.get("passes").text() + " passes");
        } else if (sync.get("bytesTotal").integer() > 0) {
            line(
                    text,
                    "  full copy: %s of %s, %s/s, %s left",
                    Text.bytes(sync.get("bytesDone").number()),
                    Text.bytes(sync.get("bytesTotal").number()),
                    Text.bytes(sync.get("bytesPerSecond").number()),
                    Text.duration(sync.get("remainingMs").integer()));
        }
        for (JsonTree disk : p.get("disks").elements()) {
            line(text, "  disk %s: %s", disk.get("name").text(), disk(disk));
        }
        line(
                text,
                "  scrubbed:%s mismatches:%s restarts:%s resumed:%s full-copies:%s",
                p.get("scrub").get("pages").text(),
                p.get("scrub").get("mismatches").text(),
                p.get("restarts").text(),
                p.get("resumedWithoutFullCopy").text(),
                p.get("fullCopies").text());
        JsonTree output = p.get("output");
        line(
                text,
                "  protection:%s output:%s waiting %s  frames:%s dropped:%s  release p50 %s p99 %s",
                output.get("protection").text(),
                output.get("holding").bool() ? "held" : "not held",
                Text.bytes(output.get("heldBytes").number()),
                output.get("frames").text(),
                output.get("droppedFrames").text(),
                Text.ms(output.get("releaseMs").get("p50").number()),
                Text.ms(output.get("releaseMs").get("p99").number()));
        for (JsonTree unheld : output.get("unheld").elements()) {
            line(text, "  output not held: %s", unheld.text());
        }
        reason(text, p);
        return text.append('\n').toString();
    }

    static String replica(JsonTree r) {
        StringBuilder text = new StringBuilder();
        line(text, "%s role:replica state:%s", r.get("vm").text(), state(r));
        JsonTree primary = r.get("primary");
        line(
                text,
                "  primary:%s address:%s connected:%s hardware:%s",
                primary.get("name").text(),
                primary.get("address").text(),
                primary.get("connected").bool() ? "yes" : "no",
                primary.get("health").text());
        line(
                text,
                "  committed:%s applied:%s standby:%s journal: %s epochs, %s",
                r.get("committedEpoch").text(),
                r.get("appliedEpoch").text(),
                r.get("standbyReady").bool()
                        ? "ready pid:" + r.get("standbyPid").text()
                        : "not ready",
                r.get("journalEpochs").text(),
                Text.bytes(r.get("journalBytes").number()));
        JsonTree drill = r.get("drill");
        if (!drill.get("state").text().equals("none") || drill.get("nextMs").integer() > 0) {
            line(
                    text,
                    "  drill:%s last:%s took:%s due:%s",
                    drill.get("state").text(),
                    time(drill.get("lastMs").integer()),
                    drill.get("totalMs").number() > 0
                            ? Text.ms(drill.get("totalMs").number()).replace(" ", "")
                            : "-",
                    time(drill.get("nextMs").integer()));
        }
        JsonTree promotion = r.get("promotion");
        if (promotion.present()) {
            line(
                    text,
                    "  promoted from epoch %s (%s): detected in %s, resumed in %s, pid:%s qmp:%s",
                    promotion.get("epoch").text(),
                    promotion.get("reason").text(),
                    Text.ms(promotion.get("detectMs").number()),
                    Text.ms(promotion.get("resumeMs").number()),
                    promotion.get("pid").text(),
                    promotion.get("qmpPath").text());
        }
        reason(text, r);
        return text.append('\n').toString();
    }

    private static String time(long ms) {
        return ms == 0
                ? "never"
                : java.time.Instant.ofEpochMilli(ms)
                        .truncatedTo(java.time.temporal.ChronoUnit.SECONDS)
                        .toString();
    }

    private static String disk(JsonTree disk) {
        String size = Text.bytes(disk.get("bytes").number()) + " "
                + disk.get("format").text();
        if (disk.get("shared").bool()) {
            return size + ", shared: not copied, and after a failover newer than the memory";
        }
        String done = Text.bytes(disk.get("bytesDone").number());
        if (disk.get("mirrored").bool()) {
            return size + ", mirrored, " + done + " copied in "
                    + Text.duration(disk.get("copyMs").integer());
        }
        long remainingMs = disk.get("remainingMs").integer();
        return size + ", " + done + " of " + Text.bytes(disk.get("bytesTotal").number()) + " copied, "
                + Text.bytes(disk.get("bytesPerSecond").number()) + "/s"
                + (remainingMs < 0 ? "" : ", " + Text.duration(remainingMs) + " left");
    }

    /** What of the hardware matters to the VMs; empty if all is well and nothing followed. */
    static String hardware(JsonTree hardware) {
        List<JsonTree> actions = hardware.get("actions").elements();
        List<JsonTree> parts = hardware.get("parts").elements();
        if (parts.isEmpty() && actions.isEmpty() && !hardware.get("drill").present()) {
            return "";
        }
        StringBuilder text = new StringBuilder();
        line(text, "this-host role:hardware state:%s", hardware.get("state").text());
        if (hardware.get("drill").present()) {
            line(text, "  %s", MachinePicture.drillWords(hardware.get("drill")));
        }
        for (JsonTree part : parts) {
            line(
                    text,
                    "  %s: %s, %s corrected and %s other errors",
                    part.get("component").text(),
                    part.get("state").text(),
                    part.get("corrected").text(),
                    part.get("uncorrected").text());
            part.get("evidence").elements().forEach(evidence -> line(text, "    evidence: %s", evidence.text()));
        }
        actions.forEach(action -> line(text, "  action: %s", MachinePicture.actionWords(action)));
        return text.append('\n').toString();
    }

    private static String state(JsonTree view) {
        return view.get("state").get("name").text();
    }

    private static String count(JsonTree number) {
        return String.format(Locale.ROOT, "%.0f", number.number());
    }

    private static void reason(StringBuilder text, JsonTree view) {
        String reason = view.get("state").get("reason").text();
        if (!reason.isEmpty()) {
            line(text, "  since: %s", reason);
        }
        JsonTree error = view.get("lastError");
        if (error.present()) {
            line(
                    text,
                    "  last error: %s: %s",
                    error.get("code").text(),
                    error.get("message").text());
        }
    }

    private static void line(StringBuilder text, String format, Object... values) {
        text.append(String.format(Locale.ROOT, format, values)).append('\n');
    }
}
