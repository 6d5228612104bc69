/** The management socket: HTTP/1.1 and JSON over VmOperations, on its own threads. Calls Jetty and Jackson. */
@NullMarked
package io.lockstep.agent.api;

import org.jspecify.annotations.NullMarked;
