package io.lockstep.agent.daemon;

import io.lockstep.agent.config.AgentConfig;
import io.lockstep.agent.config.DrillSchedule;
import java.lang.reflect.RecordComponent;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The configuration as the management interface shows it: tables, keys, plain values. */
final class ConfigurationInForce {
    private ConfigurationInForce() {}

    static Map<String, Object> of(AgentConfig config) {
        return fields(config);
    }

    private static Map<String, Object> fields(Record record) {
        Map<String, Object> fields = new LinkedHashMap<>();
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            try {
                fields.put(component.getName(), plain(component.getAccessor().invoke(record)));
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException(component + " cannot be read", e);
            }
        }
        return fields;
    }

    private static Object plain(Object value) {
        if (value instanceof DrillSchedule schedule) {
            return schedule.text();
        }
        if (value instanceof Record record) {
            return fields(record);
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> plain = new LinkedHashMap<>();
            map.forEach((name, element) -> plain.put(String.valueOf(name), plain(element)));
            return plain;
        }
        if (value instanceof List<?> list) {
            return list.stream().map(ConfigurationInForce::plain).toList();
        }
        return value instanceof Number || value instanceof Boolean ? value : String.valueOf(value);
    }
}
