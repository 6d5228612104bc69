/**
 * Where events come from. Each source is absent without harm and says itself how it is; what it reads lies under a root that is given, so that
 * tests read prepared trees. Calls the kernel's files, {@code io.lockstep.linux}, the decoders and the events.
 */
@NullMarked
package io.lockstep.telemetry.source;

import org.jspecify.annotations.NullMarked;
