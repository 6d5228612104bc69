/** Making two hosts know each other: identities exchanged, confirmed by people, written into the configuration. Calls the configuration. */
@NullMarked
package io.lockstep.agent.pairing;

import org.jspecify.annotations.NullMarked;
