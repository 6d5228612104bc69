/** Frames between two agents: TLS 1.3, pinned certificates, checksums, sequence. */
@NullMarked
package io.lockstep.replication.link;

import org.jspecify.annotations.NullMarked;
