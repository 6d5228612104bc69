package io.lockstep.agent.cli;

import java.io.Console;

/** Whether somebody looks at the output as it comes. */
final class Terminal {
    private Terminal() {}

    /** Whether colours are wanted: on a terminal that can show them, unless NO_COLOR says otherwise (no-color.org). */
    static boolean colours() {
        return colours(
                attached(),
                System.getenv().getOrDefault("NO_COLOR", ""),
                System.getenv().getOrDefault("TERM", ""));
    }

    static boolean colours(boolean attached, String noColor, String term) {
        return attached && noColor.isEmpty() && !term.equals("dumb");
    }

    /** Whether what is shown can be replaced: on a terminal that knows how. */
    static boolean clears() {
        return attached() && !System.getenv().getOrDefault("TERM", "dumb").equals("dumb");
    }

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
