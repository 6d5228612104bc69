package io.lockstep.replication.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.slf4j.Logger;

class BoundedLogTest {
    @Test
    void shouldKeepOutWhatIsTooMuchAndSayHowMuchItWas() {
        List<String> lines = new ArrayList<>();
        Logger logger = (Logger) Proxy.newProxyInstance(
                Logger.class.getClassLoader(), new Class<?>[] {Logger.class}, (proxy, method, arguments) -> {
                    lines.add(String.valueOf(arguments[0]).replace("{}", String.valueOf(arguments[1])));
                    return null;
                });
        long[] nowNs = {0};
        BoundedLog log = new BoundedLog(logger, () -> nowNs[0]);
        for (int i = 0; i < 25; i++) {
            log.warn("line " + i);
        }
        assertThat(lines).hasSize(BoundedLog.LINES_MAX).endsWith("line 9");
        nowNs[0] = TimeUnit.MINUTES.toNanos(1);
        log.warn("later");
        assertThat(lines.subList(10, 12))
                .containsExactly("15 more connections were refused since the last line", "later");
    }
}
