package io.lockstep.telemetry.health;

import io.lockstep.telemetry.event.Component;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/** Components in {@link HealthFile}: one byte for the sort, then its fields in their order. */
final class ComponentCodec {
    private ComponentCodec() {}

    static void write(Component component, DataOutputStream out) throws IOException {
        if (component instanceof Component.Memory m) {
            out.writeByte(1);
            out.writeUTF(m.label());
            out.writeLong(m.bytes());
            out.writeUTF(m.serial());
            for (int number : new int[] {
                m.socket(), m.controller(), m.channel(), m.dimm(), m.rank(), m.bank(), m.row(), m.column()
            }) {
                out.writeInt(number);
            }
        } else if (component instanceof Component.Cpu cpu) {
            out.writeByte(2);
            out.writeInt(cpu.socket());
            out.writeInt(cpu.core());
            out.writeInt(cpu.cpu());
        } else if (component instanceof Component.Pcie pcie) {
            out.writeByte(3);
            out.writeLong(pcie.domain());
            out.writeInt(pcie.bus());
            out.writeInt(pcie.device());
            out.writeInt(pcie.function());
        } else if (component instanceof Component.PhysicalAddress range) {
            out.writeByte(4);
            out.writeLong(range.address());
            out.writeLong(range.bytes());
        } else if (component instanceof Component.Nic nic) {
            out.writeByte(5);
            out.writeUTF(nic.name());
        } else if (component instanceof Component.Sensor sensor) {
            out.writeByte(6);
            out.writeUTF(sensor.chip());
            out.writeUTF(sensor.name());
        } else if (component instanceof Component.Host host) {
            out.writeByte(7);
            out.writeUTF(host.name());
        } else if (component instanceof Component.Guest guest) {
            out.writeByte(8);
            out.writeUTF(guest.name());
        }
    }

    static Component read(DataInputStream in) throws IOException {
        int sort = in.readByte();
        return switch (sort) {
            case 1 ->
                new Component.Memory(
                        in.readUTF(),
                        in.readLong(),
                        in.readUTF(),
                        in.readInt(),
                        in.readInt(),
                        in.readInt(),
                        in.readInt(),
                        in.readInt(),
                        in.readInt(),
                        in.readInt(),
                        in.readInt());
            case 2 -> new Component.Cpu(in.readInt(), in.readInt(), in.readInt());
            case 3 -> new Component.Pcie(in.readLong(), in.readInt(), in.readInt(), in.readInt());
            case 4 -> new Component.PhysicalAddress(in.readLong(), in.readLong());
            case 5 -> new Component.Nic(in.readUTF());
            case 6 -> new Component.Sensor(in.readUTF(), in.readUTF());
            case 7 -> new Component.Host(in.readUTF());
            case 8 -> new Component.Guest(in.readUTF());
            default -> throw new IOException("component sort " + sort + " is not in 1..8");
        };
    }
}
