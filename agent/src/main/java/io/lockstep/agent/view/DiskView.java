package io.lockstep.agent.view;

/**
 * A disk of a protected VM that its guest can write.
 *
 * @param name QEMU's name of its drive or node
 * @param file what QEMU opened for it
 * @param format {@code raw}, {@code qcow2}; the peer's image is raw
 * @param bytes its length
 * @param shared whether both hosts see it, so that it is not copied
 * @param mirrored whether the peer was sent all of it, and gets every write
 * @param bytesDone data read in the present or last copy; holes cost nothing
 * @param bytesTotal data to read in it
 * @param copyMs how long that took, so far or in all
 * @param bytesPerSecond its rate
 * @param remainingMs estimate; 0 when done, -1 when unknown
 */
public record DiskView(
        String name,
        String file,
        String format,
        long bytes,
        boolean shared,
        boolean mirrored,
        long bytesDone,
        long bytesTotal,
        double copyMs,
        double bytesPerSecond,
        long remainingMs) {}
