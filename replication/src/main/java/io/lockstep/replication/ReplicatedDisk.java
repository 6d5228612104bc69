package io.lockstep.replication;

/**
 * A disk of a virtual machine that the peer keeps an image of. In the stream its content travels as pages, behind those of the RAM blocks.
 *
 * @param device QEMU's name of the device or its node, by which an operator knows it
 * @param file what QEMU opened for it on the primary, as its command line names it
 * @param format how the primary stores it: {@code raw}, {@code qcow2}; the image is raw
 * @param lengthBytes as the guest sees it, a multiple of 512
 */
public record ReplicatedDisk(String device, String file, String format, long lengthBytes) {
    /** The smallest unit that a guest writes. */
    public static final int SECTOR_BYTES = 512;

    /** Most disks of one VM. */
    public static final int DISKS_MAX = 256;

    public ReplicatedDisk {
        if (lengthBytes <= 0 || lengthBytes % SECTOR_BYTES != 0 || pages(lengthBytes) > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("disk " + device + " length " + lengthBytes + " is not a multiple of "
                    + SECTOR_BYTES + " in 1.." + Integer.MAX_VALUE + " pages of " + RamBlock.PAGE_BYTES);
        }
    }

    /** Pages of {@link RamBlock#PAGE_BYTES}, the last one perhaps not full. */
    public int pageCount() {
        return (int) pages(lengthBytes);
    }

    private static long pages(long bytes) {
        return (bytes + RamBlock.PAGE_BYTES - 1) / RamBlock.PAGE_BYTES;
    }
}
