package io.lockstep.agent.view;

/** Pages compared in turn with the peer's since protection began, and how many differed. */
public record Scrub(long pages, long mismatches) {}
