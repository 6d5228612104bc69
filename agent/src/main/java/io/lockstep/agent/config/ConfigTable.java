package io.lockstep.agent.config;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** The checked values of one table, defaults filled in. */
final class ConfigTable {
    private final Map<ConfigKey, Object> values = new EnumMap<>(ConfigKey.class);

    void put(ConfigKey key, Object value) {
        values.put(key, value);
    }

    boolean has(ConfigKey key) {
        return values.containsKey(key);
    }

    String text(ConfigKey key) {
        return (String) value(key);
    }

    int integer(ConfigKey key) {
        return Math.toIntExact((Long) value(key));
    }

    long bytes(ConfigKey key) {
        return (Long) value(key);
    }

    boolean flag(ConfigKey key) {
        return (Boolean) value(key);
    }

    List<String> texts(ConfigKey key) {
        return ((List<?>) value(key)).stream().map(String.class::cast).toList();
    }

    private Object value(ConfigKey key) {
        Object value = values.getOrDefault(key, key.fallback);
        if (value == null) {
            throw new IllegalStateException(key + " has neither a value nor a default");
        }
        return value;
    }
}
