package io.lockstep.agent.config;

import java.util.List;
import java.util.stream.Collectors;

/** The manual's page about the configuration, made from the keys. */
public final class ConfigurationReference {
    private ConfigurationReference() {}

    /** Its text. */
    public static String text() {
        StringBuilder text = new StringBuilder("""
                # Configuration reference

                Made from the code by `DistFilesTest`, which fails when it is not current. The file is `/etc/lockstep/agent.toml`, TOML; every key may be
                left out. The agent reads it when it starts; `lockstep config check` says what is wrong with it, with line, column and the nearest valid key.
                Units stand in the names. `[peers.NAME]` and `[vms.NAME]` exist once for each name.
                """);
        String table = "";
        for (ConfigKey key : ConfigKey.values()) {
            if (!key.table.equals(table)) {
                table = key.table;
                text.append("\n## [").append(table.replace("*", "NAME")).append("]\n\n");
                text.append("| key | default | allowed | what it is |\n| --- | --- | --- | --- |\n");
            }
            text.append("| `")
                    .append(key.key)
                    .append("` | ")
                    .append(fallback(key))
                    .append(" | ")
                    .append(allowed(key));
            text.append(" | ").append(key.comment.replace("|", "\\|")).append(" |\n");
        }
        return text.toString();
    }

    private static String fallback(ConfigKey key) {
        if (key.fallback == null) {
            return "none: must be given";
        }
        if (key.fallback instanceof List<?> || key.fallback.equals("")) {
            return "empty";
        }
        return "`" + key.fallback + "`";
    }

    private static String allowed(ConfigKey key) {
        return switch (key.type) {
            case INTEGER -> key.min + " to " + key.max;
            case TEXTS -> "a list of texts";
            case BOOLEAN -> "`true`, `false`";
            case TEXT ->
                key.choices.isEmpty()
                        ? "a text"
                        : key.choices.stream()
                                .filter(choice -> !choice.isEmpty())
                                .map(choice -> "`" + choice + "`")
                                .collect(Collectors.joining(", "));
        };
    }
}
