package io.lockstep.telemetry.fault;

import io.lockstep.telemetry.event.Component;
import io.lockstep.telemetry.inventory.Inventory;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Makes one identity of what EDAC's layout, the firmware's tables and an event say of a memory module. Where more than one module may be meant,
 * none is guessed. Immutable.
 */
public final class MemoryIdentity {
    /** Knows no module. */
    public static final MemoryIdentity NONE = new MemoryIdentity(List.of(), List.of());

    private final List<Component.Memory> layout;

    /**
     * Over what is known of the host.
     *
     * @param layout modules by EDAC, with size and label
     * @param dimms modules by the firmware's tables, with serial number
     */
    public MemoryIdentity(List<Component.Memory> layout, List<Inventory.Dimm> dimms) {
        List<Component.Memory> all = new ArrayList<>();
        for (Component.Memory memory : layout) {
            all.add(memory.label().isEmpty() ? memory : identified(memory, dimms));
        }
        if (layout.isEmpty()) {
            for (Inventory.Dimm dimm : dimms) {
                dimm.slot()
                        .ifPresent(slot -> all.add(Component.Memory.ANYWHERE
                                .labelled(lastWord(slot))
                                .identified(dimm.bytes(), dimm.serialNumber().orElse(""))));
            }
        }
        this.layout = List.copyOf(all);
    }

    /** The modules, as exactly as they are known. */
    public List<Component.Memory> modules() {
        return layout;
    }

    /** The same component, with what is known of the module it is, if it is one. */
    public Component resolve(Component component) {
        if (!(component instanceof Component.Memory memory)) {
            return component;
        }
        Component.Memory found = null;
        for (Component.Memory module : layout) {
            if (module.mayBe(memory)) {
                if (found != null) {
                    return component;
                }
                found = module;
            }
        }
        boolean says = memory.oneModule() || memory.channel() != Component.UNKNOWN || layout.size() == 1;
        // One module has one name, whatever an event knows beyond the layout.
        return found == null || !says
                ? component
                : found.place(memory.rank(), memory.bank(), memory.row(), memory.column());
    }

    private static Component.Memory identified(Component.Memory memory, List<Inventory.Dimm> dimms) {
        Inventory.Dimm found = null;
        for (Inventory.Dimm dimm : dimms) {
            if (dimm.slot().isPresent() && sameName(dimm.slot().get(), memory.label())) {
                if (found != null) {
                    return memory;
                }
                found = dimm;
            }
        }
        return found == null
                ? memory
                : memory.identified(found.bytes(), found.serialNumber().orElse(""));
    }

    private static boolean sameName(String slot, String label) {
        return slot.equalsIgnoreCase(label)
                || lastWord(slot)
                        .toLowerCase(Locale.ROOT)
                        .equals(lastWord(label).toLowerCase(Locale.ROOT));
    }

    private static String lastWord(String text) {
        String stripped = text.strip();
        return stripped.substring(Math.max(stripped.lastIndexOf('/'), stripped.lastIndexOf(' ')) + 1);
    }
}
