package io.lockstep.agent.view;

import java.util.List;

/**
 * What becomes of a VM's network output.
 *
 * @param protection {@code lockstep}: it is held until the peer has its epoch; {@code async}: it is not
 * @param holding whether frames wait for acknowledgements now; not during the first copy, nor while the VM is unprotected
 * @param unheld netdevs whose output is not held, each with the reason
 * @param heldBytes that wait now
 * @param frames that were sent since protection began
 * @param droppedFrames for which there was no room
 * @param releaseMs from an acknowledgement to the last of its frames having been sent on
 */
public record OutputView(
        String protection,
        boolean holding,
        List<String> unheld,
        long heldBytes,
        long frames,
        long droppedFrames,
        Quantiles releaseMs) {}
