package io.lockstep.agent.config;

import java.util.List;

/** The configuration file as it is installed: every key with its default, range and meaning, all commented out. */
public final class DefaultFile {
    private static final int COLUMNS = 118;

    private DefaultFile() {}

    /** Its text. */
    public static String text() {
        StringBuilder text = new StringBuilder();
        comment(
                text,
                "The configuration of Lockstep's agent, TOML. Every key below shows its default; remove the '#' in front of the key and"
                        + " of its table to change it. Units stand in the names. The agent reads the file when it starts; an error in it"
                        + " keeps the agent from starting, and is reported with line and column.");
        String table = "";
        for (ConfigKey key : ConfigKey.values()) {
            text.append('\n');
            if (!key.table.equals(table)) {
                table = key.table;
                text.append('#').append('[').append(example(key)).append("]\n");
            }
            comment(text, key.comment + bounds(key));
            text.append('#').append(key.key).append(" = ").append(literal(key)).append('\n');
        }
        return text.toString();
    }

    private static String example(ConfigKey key) {
        if (!key.perName()) {
            return key.table;
        }
        return key.table
                .replace("peers.*", "peers.host-b")
                .replace("vms.*", "vms.web1")
                .replace("disks.*", "disks.data");
    }

    private static String bounds(ConfigKey key) {
        if (key.type == ConfigKey.Type.INTEGER) {
            return " " + key.min + " to " + key.max + ".";
        }
        return key.choices.isEmpty()
                ? ""
                : " One of "
                        + String.join(
                                ", ",
                                key.choices.stream().filter(c -> !c.isEmpty()).toList())
                        + ".";
    }

    private static String literal(ConfigKey key) {
        if (key == ConfigKey.PEER_ADDRESS) {
            return "\"host-b:7500\"";
        }
        if (key.fallback == null) {
            return "\"sha256:" + "0".repeat(64) + "\"";
        }
        return switch (key.type) {
            case TEXT -> "\"" + key.fallback + "\"";
            case INTEGER, BOOLEAN -> key.fallback.toString();
            case TEXTS -> "[]";
        };
    }

    private static void comment(StringBuilder text, String sentence) {
        StringBuilder line = new StringBuilder("#");
        for (String word : List.of(sentence.split(" "))) {
            if (line.length() + 1 + word.length() > COLUMNS) {
                text.append(line).append('\n');
                line = new StringBuilder("#");
            }
            line.append(' ').append(word);
        }
        text.append(line).append('\n');
    }
}
