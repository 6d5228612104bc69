package io.lockstep.agent.api;

import io.lockstep.replication.LockstepException;

/**
 * An error as RFC 9457 has it.
 *
 * @param type {@code urn:lockstep:} and the stable code
 * @param title the code in words
 * @param status of HTTP
 * @param detail cause, values and cure; the command line prints the same
 */
record Problem(String type, String title, int status, String detail, String code) {
    static final String MEDIA_TYPE = "application/problem+json";

    static Problem of(int status, String code, String detail) {
        return new Problem("urn:lockstep:" + code, code.replace('-', ' '), status, detail, code);
    }

    static Problem of(LockstepException e) {
        return of(e, String.valueOf(e.getMessage()));
    }

    /** @param detail its message, as this client may read it */
    static Problem of(LockstepException e, String detail) {
        int status =
                switch (e.code()) {
                    case "replica-unknown" -> 404;
                    case "precondition-failed" -> 412;
                    case "idempotency-key-reused" -> 422;
                    case "read-only-socket" -> 403;
                    case "method-not-allowed" -> 405;
                    case "request-too-slow" -> 408;
                    case "request-too-large" -> 413;
                    default -> e.code().startsWith("no-such-") ? 404 : 409;
                };
        return of(status, e.code(), detail);
    }
}
