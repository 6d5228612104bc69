package io.lockstep.replication;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** A VM's name as the name of its directories: letters, digits, dash, underscore and inner dots stay, other bytes become %XX. */
public final class VmDirectory {
    private VmDirectory() {}

    public static String encode(String vm) {
        StringBuilder name = new StringBuilder();
        for (byte b : vm.getBytes(StandardCharsets.UTF_8)) {
            boolean plain =
                    (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '-' || b == '_';
            if (plain || (b == '.' && !name.isEmpty())) {
                name.append((char) b);
            } else {
                name.append(String.format("%%%02X", b & 0xff));
            }
        }
        return name.toString();
    }

    /** The VM whose directory has this name; empty if it is none's. */
    public static Optional<String> decode(String name) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try {
            for (int i = 0; i < name.length(); i++) {
                if (name.charAt(i) == '%' && i + 2 < name.length()) {
                    bytes.write(Integer.parseInt(name, i + 1, i + 3, 16));
                    i += 2;
                } else {
                    bytes.write(name.charAt(i));
                }
            }
        } catch (NumberFormatException e) {
            return Optional.empty();
        }
        String vm = bytes.toString(StandardCharsets.UTF_8);
        return encode(vm).equals(name) ? Optional.of(vm) : Optional.empty();
    }
}
