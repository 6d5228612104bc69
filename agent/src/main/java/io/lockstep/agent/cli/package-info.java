/** The command line: a client of the management socket. Calls picocli. */
@NullMarked
package io.lockstep.agent.cli;

import org.jspecify.annotations.NullMarked;
