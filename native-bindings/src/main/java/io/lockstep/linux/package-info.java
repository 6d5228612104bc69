/** Linux system calls through JNA direct mapping, one class per kernel facility. Calls JNA and nothing else. */
@NullMarked
package io.lockstep.linux;

import org.jspecify.annotations.NullMarked;
