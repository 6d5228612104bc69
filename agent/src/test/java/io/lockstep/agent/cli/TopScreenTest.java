package io.lockstep.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.agent.client.JsonTree;
import java.util.List;
import org.junit.jupiter.api.Test;

class TopScreenTest {
    private final TopScreen screen = new TopScreen();

    private void look(double pause, long acked) throws Exception {
        screen.update(
                JsonTree.parse(
                        "{\"protections\":[{\"vm\":\"b\",\"epoch\":10,\"ackedEpoch\":" + acked
                                + ",\"state\":{\"name\":\"protected\"},\"recentPauseMs\":{\"p99\":" + pause
                                + "}},{\"vm\":\"a\",\"epoch\":10,\"ackedEpoch\":10,\"state\":{\"name\":\"reconnecting\"},\"recentPauseMs\":{\"p99\":1}}],"
                                + "\"replicas\":[{\"vm\":\"c\",\"state\":{\"name\":\"protected\"},\"committedEpoch\":9,\"appliedEpoch\":7}]}"),
                JsonTree.parse(
                        "{\"state\":\"failing\",\"parts\":[{\"component\":\"DIMM A2\",\"action\":\"Replace it.\"}]}"));
    }

    @Test
    void shouldFitAnyScreen() throws Exception {
        look(2, 9);
        for (int columns : new int[] {20, 80, 200}) {
            for (int rows : new int[] {2, 5, 24, 60}) {
                List<String> lines = screen.lines(columns, rows);
                assertThat(lines).hasSize(rows);
                assertThat(lines).allMatch(line -> line.length() <= columns);
            }
        }
    }

    @Test
    void shouldShowARowForEachVmWithSparklinesAndHardware() throws Exception {
        look(2, 9);
        look(4, 8);

        List<String> lines = screen.lines(80, 24);
        assertThat(lines.get(0)).isEqualTo("lockstep top   2 protected here, 1 replicas   sort: name");
        assertThat(lines.get(1)).isEqualTo("hardware: failing, DIMM A2: Replace it.");
        assertThat(lines.get(4)).startsWith(">a ");
        assertThat(lines.get(5)).contains("protected").contains("4.0 ms ▅█").contains("2 ▅█");
        assertThat(lines.get(6)).startsWith(" c ").contains("replica");
    }

    @Test
    void shouldSortSelectAndShowOne() throws Exception {
        look(4, 8);
        screen.key('p');
        assertThat(screen.lines(80, 24).get(4)).startsWith(">b ");
        screen.key('j');
        assertThat(screen.lines(80, 24).get(5)).startsWith(">a ");
        screen.key('\r');
        assertThat(screen.lines(80, 24).get(3)).startsWith("a role:primary state:reconnecting");
        screen.key((char) 27);
        assertThat(screen.lines(80, 24).get(3)).startsWith("VM ");
    }
}
