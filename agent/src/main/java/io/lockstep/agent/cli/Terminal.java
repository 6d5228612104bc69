package io.lockstep.agent.cli;

import java.io.Console;

/** Whether somebody looks at the output as it comes. */
final class Terminal {
    private Terminal() {}

    /** From JDK 22 on there is a console even where there is no terminal, and a method that tells; before, there is none. */
    @SuppressWarnings("SystemConsoleNull")
    static boolean attached() {
        Console console = System.console();
        if (console == null) {
            return false;
        }
        try {
            return (Boolean) Console.class.getMethod("isTerminal").invoke(console);
        } catch (ReflectiveOperationException e) {
            return true;
        }
    }
}
