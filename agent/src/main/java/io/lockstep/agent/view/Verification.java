package io.lockstep.agent.view;

import java.util.List;

/**
 * Every page of every RAM block compared at one stop.
 *
 * @param pauseMs how long the VM stood still for it
 * @param differing the first ones, at most 4096
 */
public record Verification(
        String vm,
        long epoch,
        long pagesCompared,
        long pagesDiffering,
        double pauseMs,
        List<DifferingPage> differing) {}
