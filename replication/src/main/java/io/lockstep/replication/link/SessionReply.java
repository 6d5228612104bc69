package io.lockstep.replication.link;

import io.lockstep.replication.wire.AckLevel;
import io.lockstep.replication.wire.HelloStatus;

/**
 * The peer's answer to a {@link SessionHello}. Immutable.
 *
 * @param protocolVersion that of the session; in a refusal, the newest that the peer speaks
 * @param status whether to send what changed since committedEpoch, or everything, or nothing
 * @param committedEpoch the replica's epoch; -1: none
 * @param ackLevel what an acknowledgement will mean
 * @param promotionWindowMs silence of the primary after which this peer promotes no more by itself; 0: it never does on silence
 * @param imagesId random, of the disks' images that the peer has: another one each time that they are made anew; 0 without disks
 * @param code stable name of the refusal, or empty
 * @param cause the refusal in words, with values and cure, or empty
 */
public record SessionReply(
        int protocolVersion,
        HelloStatus status,
        long committedEpoch,
        AckLevel ackLevel,
        long promotionWindowMs,
        long imagesId,
        String code,
        String cause) {}
