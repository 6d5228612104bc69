package io.lockstep.telemetry.sensor;

import io.lockstep.telemetry.source.Sysfs;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;
import oshi.SystemInfo;
import oshi.hardware.NetworkIF;
import oshi.hardware.Sensors;

/**
 * The host's sensors through OSHI, which is loaded only if there are any: it takes some hundred milliseconds and some megabytes, which a virtual machine
 * need not spend. Of network ports those with a device behind them count: taps and bridges come and go with the guests.
 */
public final class OshiSensors implements SensorReader {
    private final Sysfs sysfs;
    private @Nullable SystemInfo system;

    /** @param sysfs of {@code /sys} */
    public OshiSensors(Sysfs sysfs) {
        this.sysfs = sysfs;
    }

    @Override
    public Readings read() {
        List<String> ports = sysfs.names("class/net", "[^/]{1,15}").stream()
                .filter(name -> sysfs.exists("class/net/" + name + "/device"))
                .toList();
        boolean chips = !sysfs.names("class/hwmon", "hwmon\\d{1,5}").isEmpty();
        if (ports.isEmpty() && !chips) {
            return new Readings(OptionalDouble.empty(), List.of(), OptionalDouble.empty(), Map.of());
        }
        if (system == null) {
            system = new SystemInfo();
        }
        Map<String, Boolean> links = new HashMap<>();
        if (!ports.isEmpty()) {
            for (NetworkIF port : system.getHardware().getNetworkIFs(false)) {
                if (ports.contains(port.getName())) {
                    links.put(port.getName(), port.getIfOperStatus() == NetworkIF.IfOperStatus.UP);
                }
            }
        }
        if (!chips) {
            return new Readings(OptionalDouble.empty(), List.of(), OptionalDouble.empty(), links);
        }
        Sensors sensors = system.getHardware().getSensors();
        List<Integer> fans = new ArrayList<>();
        for (int rpm : sensors.getFanSpeeds()) {
            fans.add(rpm);
        }
        return new Readings(positive(sensors.getCpuTemperature()), fans, positive(sensors.getCpuVoltage()), links);
    }

    private static OptionalDouble positive(double value) {
        return value > 0 && !Double.isInfinite(value) ? OptionalDouble.of(value) : OptionalDouble.empty();
    }
}
