package io.lockstep.replication.hypervisor;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class QmpLineTest {
    private final QmpLine line = new QmpLine();

    private ByteBuffer scan(String text) {
        ByteBuffer buffer = ByteBuffer.wrap(("xx" + text + "\n").getBytes(StandardCharsets.UTF_8));
        line.scan(buffer, 2, buffer.capacity() - 1);
        return buffer;
    }

    @Test
    void shouldKnowEventByNameWhenKeysComeInAnyOrder() {
        ByteBuffer buffer = scan(
                "{\"timestamp\": {\"seconds\": 1, \"event\": \"RESUME\"}, \"event\": \"STOP\", \"data\": {\"id\": 4}}");
        assertThat(line.kind()).isEqualTo(QmpLine.Kind.EVENT);
        assertThat(line.isEvent(buffer, QmpLine.bytes("STOP"))).isTrue();
        assertThat(line.isEvent(buffer, QmpLine.bytes("STO"))).isFalse();
        assertThat(line.id()).isEqualTo(-1);
    }

    @Test
    void shouldTellWhenAnEventCameAboutWhateverElseBearsThoseNames() {
        String timestamp = "\"timestamp\": {\"microseconds\": 31, \"seconds\": 1700000000}";
        String data = "\"data\": {\"timestamp\": {\"seconds\": 5}, \"seconds\": 6}";
        for (String text : new String[] {
            "{" + timestamp + ", \"event\": \"STOP\", " + data + "}",
            "{" + data + ", \"event\": \"STOP\", " + timestamp + "}"
        }) {
            ByteBuffer buffer = scan(text);
            assertThat(line.timeUs(buffer, buffer.capacity() - 1)).isEqualTo(1_700_000_000_000_031L);
        }
    }

    @Test
    void shouldTellNoTimeWhenQemuHadNone() {
        ByteBuffer buffer = scan("{\"event\": \"STOP\"}");
        assertThat(line.timeUs(buffer, buffer.capacity() - 1)).isZero();
        // QEMU's gettimeofday failed.
        buffer = scan("{\"timestamp\": {\"seconds\": -1, \"microseconds\": -1}, \"event\": \"STOP\"}");
        assertThat(line.timeUs(buffer, buffer.capacity() - 1)).isZero();
    }

    @Test
    void shouldReadReplyNumberWhenReplyIsReturn() {
        scan("{\"id\": 42, \"return\": {\"id\": 7, \"error\": \"a \\\" } b\"}}");
        assertThat(line.kind()).isEqualTo(QmpLine.Kind.RETURN);
        assertThat(line.id()).isEqualTo(42);
    }

    @Test
    void shouldKnowErrorWhenReplyIsError() {
        scan("{\"error\": {\"class\": \"GenericError\", \"desc\": \"return\"}, \"id\": 9}");
        assertThat(line.kind()).isEqualTo(QmpLine.Kind.ERROR);
        assertThat(line.id()).isEqualTo(9);
    }

    @Test
    void shouldNotTakeStringValueForKeyWhenItSoundsLikeOne() {
        scan("{\"QMP\": \"event\", \"x\": \"return\"}");
        assertThat(line.kind()).isEqualTo(QmpLine.Kind.OTHER);
    }
}
