/** What the agent tells about itself and its VMs, as immutable records: the API renders them as JSON, field by field. Calls nothing. */
@NullMarked
package io.lockstep.agent.view;

import org.jspecify.annotations.NullMarked;
