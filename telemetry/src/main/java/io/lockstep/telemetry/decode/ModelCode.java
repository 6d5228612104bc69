package io.lockstep.telemetry.decode;

import io.lockstep.telemetry.event.EventKind;

/**
 * What a processor model's own error code means.
 *
 * @param kind what sort of event it is
 * @param words a phrase that stands alone
 * @param lost whether data is lost, whatever the architectural bits say
 */
record ModelCode(EventKind kind, String words, boolean lost) {
    static ModelCode of(EventKind kind, String words) {
        return new ModelCode(kind, words, false);
    }

    static ModelCode lost(EventKind kind, String words) {
        return new ModelCode(kind, words, true);
    }
}
