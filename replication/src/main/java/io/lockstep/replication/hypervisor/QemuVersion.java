package io.lockstep.replication.hypervisor;

import io.lockstep.replication.LockstepException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A QEMU release, as {@code query-version} tells it; ordered by age. */
public record QemuVersion(int major, int minor, int micro) implements Comparable<QemuVersion> {
    /** The oldest that Lockstep attaches to. */
    public static final QemuVersion OLDEST = new QemuVersion(7, 2, 0);

    private static final Pattern TEXT = Pattern.compile("(\\d{1,4})\\.(\\d{1,4})\\.(\\d{1,4})");

    /**
     * Reads what {@link #toString()} wrote.
     *
     * @throws LockstepException {@code qemu-version-unknown}
     */
    public static QemuVersion parse(String text) throws LockstepException {
        Matcher matcher = TEXT.matcher(text);
        if (!matcher.matches()) {
            throw new LockstepException(
                    "qemu-version-unknown", "the peer's QEMU version `" + text + "` is not of the form 7.2.22");
        }
        return new QemuVersion(
                Integer.parseInt(matcher.group(1)),
                Integer.parseInt(matcher.group(2)),
                Integer.parseInt(matcher.group(3)));
    }

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
