package io.lockstep.replication.hypervisor;

/** A QEMU release, as {@code query-version} tells it; ordered by age. */
public record QemuVersion(int major, int minor, int micro) implements Comparable<QemuVersion> {
    /** The oldest that Lockstep attaches to. */
    public static final QemuVersion OLDEST = new QemuVersion(7, 2, 0);

    @Override
    public int compareTo(QemuVersion other) {
        int order = Integer.compare(major, other.major);
        if (order == 0) {
            order = Integer.compare(minor, other.minor);
        }
        return order == 0 ? Integer.compare(micro, other.micro) : order;
    }

    /** E.g. {@code 7.2.22}. */
    @Override
    public String toString() {
        return major + "." + minor + "." + micro;
    }
}
