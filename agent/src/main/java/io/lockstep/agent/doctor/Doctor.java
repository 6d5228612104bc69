package io.lockstep.agent.doctor;

import java.util.List;

/** Finds out what this host lacks. */
@FunctionalInterface
public interface Doctor {
    /** Every check, in a fixed order; some hundred milliseconds. Touches no VM. */
    List<Finding> examine();
}
