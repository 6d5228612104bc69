/** Talking to a running agent over its management socket, with the JDK and a JSON tokenizer alone, so that a command starts fast. */
@NullMarked
package io.lockstep.agent.client;

import org.jspecify.annotations.NullMarked;
