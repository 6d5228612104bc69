/** What is counted and measured, under the names that dashboards know it by, as text for Prometheus. Calls nothing. */
@NullMarked
package io.lockstep.agent.metrics;

import org.jspecify.annotations.NullMarked;
