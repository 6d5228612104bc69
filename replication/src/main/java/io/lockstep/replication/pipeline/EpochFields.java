package io.lockstep.replication.pipeline;

import io.lockstep.replication.wire.EpochKind;
import io.lockstep.replication.wire.RunState;
import java.nio.ByteBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** What the beginning and the end of one epoch say; a few of them are reused in turn. */
final class EpochFields {
    private final AlignedMemory memory;
    final UnsafeBuffer deviceState;
    final ByteBuffer deviceStateBytes;
    long epoch;
    EpochKind kind = EpochKind.SYNC;
    RunState runState = RunState.RUNNING;
    long wallMs;
    long pauseNs;
    int deviceStateLength;

    EpochFields(int deviceStateBytesMax) {
        memory = new AlignedMemory(deviceStateBytesMax);
        deviceStateBytes = memory.buffer();
        deviceState = new UnsafeBuffer(deviceStateBytes);
    }

    /** Gives the memory back; nothing may use the fields afterwards. */
    void free() {
        memory.free();
    }
}
