package io.lockstep.agent.daemon;

/** The version that peers and management tools are told. */
final class AgentVersion {
    /** Of the jar's manifest, or {@code development} when run from classes. */
    static final String TEXT = text();

    private AgentVersion() {}

    private static String text() {
        String version = AgentVersion.class.getPackage().getImplementationVersion();
        return version == null ? "development" : version;
    }
}
