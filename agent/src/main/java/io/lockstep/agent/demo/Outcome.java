package io.lockstep.agent.demo;

import org.jspecify.annotations.Nullable;

/** What came of the kill. */
record Outcome(
        DemoReport.@Nullable Failover failover,
        DemoReport.GuestState guestState,
        DemoReport.@Nullable AgentRestart agentRestart) {}
