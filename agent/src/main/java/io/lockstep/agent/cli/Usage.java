package io.lockstep.agent.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** What is wrong with a command line, in words of the operator's and not of the parser's. */
final class Usage {
    private static final Pattern CHOICE = Pattern.compile("expected one of \\[(.*)] \\(case-insensitive\\)");

    private Usage() {}

    /** A sentence without its full stop. */
    static String message(ParameterException e) {
        if (e instanceof UnmatchedArgumentException unmatched
                && !unmatched.getUnmatched().isEmpty()) {
            return unmatched(unmatched);
        }
        String message = String.valueOf(e.getMessage())
                .replaceFirst("^Error: ", "")
                .replaceFirst("Missing required subcommand", "no command is given")
                .replaceFirst(" is not an? (int|long)$", " is not a whole number")
                .replaceFirst(" is not a double$", " is not a number");
        return CHOICE.matcher(message).replaceFirst(Usage::choice);
    }

    private static String choice(MatchResult names) {
        return "expected one of " + names.group(1).toLowerCase(Locale.ROOT);
    }

    private static String unmatched(UnmatchedArgumentException e) {
        String first = e.getUnmatched().get(0);
        String quoted = "'" + first + "'";
        if (first.startsWith("-")) {
            return "there is no option " + quoted + alike(e);
        }
        boolean command = !e.getCommandLine().getSubcommands().isEmpty();
        return command ? "there is no command " + quoted + alike(e) : quoted + " is one argument too many";
    }

    private static String alike(UnmatchedArgumentException e) {
        List<String> alike = new ArrayList<>(e.getSuggestions());
        return alike.isEmpty() ? "" : "; the nearest is " + String.join(", ", alike.subList(0, 1));
    }
}
