/** What happens to hardware, in words that no source of events and no policy needs to translate. Calls nothing. */
@NullMarked
package io.lockstep.telemetry.event;

import org.jspecify.annotations.NullMarked;
