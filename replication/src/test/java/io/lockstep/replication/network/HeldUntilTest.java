package io.lockstep.replication.network;

import static org.assertj.core.api.Assertions.assertThat;

import io.lockstep.replication.LockstepException;
import io.lockstep.replication.link.LinkException;
import io.lockstep.replication.link.LinkException.Kind;
import java.io.IOException;
import java.net.ConnectException;
import org.junit.jupiter.api.Test;

class HeldUntilTest {
    private static final long MS = 1_000_000;
    private final LinkException silent = new LinkException(Kind.TIMEOUT, "peer-silent", "no byte for 1001 ms");

    private final HeldUntil held = new HeldUntil(1_000);

    @Test
    void shouldHoldUntilTheSilentPeerCanNoLongerPromote() {
        held.sessionBegan(11_000);
        assertThat(held.over(Long.MAX_VALUE / 4)).isFalse();
        held.sessionLost(silent, 5 * MS);
        held.sessionLost(new LockstepException("peer-unreachable", "no route"), 4_000 * MS);
        assertThat(held.over((5 + 12_000) * MS - 1)).isFalse();
        assertThat(held.over((5 + 12_000) * MS)).isTrue();
    }

    @Test
    void shouldLetGoAtOnceWhenThePeerNeverPromotesOnSilence() {
        held.sessionBegan(0);
        held.sessionLost(silent, 5 * MS);
        assertThat(held.over(5 * MS)).isTrue();
    }

    @Test
    void shouldLetGoAtOnceWhenThePeersAgentEnded() {
        for (LockstepException cause : new LockstepException[] {
            new LinkException(Kind.CLOSED, "link-closed", "peer b:1 closed the connection"),
            new LinkException(Kind.CLOSED, "link-closed", "broke", new IOException("Connection reset by peer")),
            new LinkException(Kind.CLOSED, "link-closed", "broke", new IOException("Broken pipe")),
            new LockstepException("peer-unreachable", "b:1", new ConnectException("Connection refused")),
        }) {
            held.sessionBegan(11_000);
            held.sessionLost(cause, 5 * MS);
            assertThat(held.over(5 * MS)).as("%s", cause).isTrue();
        }
    }

    @Test
    void shouldHoldWhenTheNetworkEndedTheConnection() {
        held.sessionBegan(11_000);
        held.sessionLost(
                new LinkException(Kind.CLOSED, "link-closed", "broke", new IOException("Connection timed out")),
                5 * MS);
        held.sessionLost(new LinkException(Kind.CLOSED, "link-closed", "the connection to b is closed: late"), 5 * MS);
        assertThat(held.over(6 * MS)).isFalse();
    }

    @Test
    void shouldHoldForGoodWhenThePeerRunsTheVm() {
        held.sessionBegan(0);
        held.sessionLost(new LinkException(Kind.REFUSED, "peer-promoted", "the peer already runs this VM"), 5 * MS);
        assertThat(held.over(Long.MAX_VALUE / 4)).isFalse();
    }

    @Test
    void shouldHoldAgainWhenASessionBegins() {
        held.sessionBegan(0);
        held.sessionLost(silent, 5 * MS);
        held.sessionBegan(11_000);
        assertThat(held.over(Long.MAX_VALUE / 4)).isFalse();
    }
}
