package io.lockstep.agent;

/** The version that operators, peers and management tools are told. */
public final class AgentVersion {
    /** Of the jar's manifest, or {@code development} when run from classes. */
    public static final String TEXT = text();

    private AgentVersion() {}

    private static String text() {
        String version = AgentVersion.class.getPackage().getImplementationVersion();
        return version == null ? "development" : version;
    }
}
