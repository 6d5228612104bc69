/** The agent's configuration: one TOML file, checked whole before anything starts. Calls Jackson. */
@NullMarked
package io.lockstep.agent.config;

import org.jspecify.annotations.NullMarked;
