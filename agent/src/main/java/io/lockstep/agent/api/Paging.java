package io.lockstep.agent.api;

import io.lockstep.replication.LockstepException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One page of a list. The cursor names the last element that was shown, so that a page neither repeats nor skips elements when others come or
 * go between two requests.
 *
 * @param cursor after which element to go on; null: from the first
 * @param limit of elements, 1 or more
 */
record Paging(@Nullable String cursor, int limit) {
    /** Elements in one answer, unless asked for another number. */
    static final int LIMIT = 1000;

    static final int LIMIT_MAX = 10_000;

    /** From the parameters {@code limit} and {@code cursor}. */
    static Paging of(Map<String, String> query, int limitDefault) throws LockstepException {
        String limit = query.getOrDefault("limit", Integer.toString(limitDefault));
        String cursor = query.get("cursor");
        return new Paging(cursor == null ? null : decode(cursor), Routes.number("limit", limit, LIMIT_MAX));
    }

    /**
     * A page as an answer.
     *
     * @param name of the field that holds the elements
     * @param key of an element: the list is in the order of {@code after}
     * @param after whether an element comes after the one with a key
     */
    <T> Map<String, Object> page(String name, List<T> all, Function<T, String> key, After<T> after) {
        List<T> rest = all;
        if (cursor != null) {
            rest = all.stream().filter(element -> after.test(element, cursor)).toList();
        }
        List<T> page = rest.subList(0, Math.min(limit, rest.size()));
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put(name, page);
        if (rest.size() > page.size()) {
            answer.put("nextCursor", encode(key.apply(page.get(page.size() - 1))));
        }
        return answer;
    }

    /** Compares an element with a key. */
    @FunctionalInterface
    interface After<T> {
        boolean test(T element, String key);
    }

    /** As {@link #of}, of a list whose keys are numbers, as those of its cursors are then. */
    static Paging ofNumbers(Map<String, String> query, int limitDefault) throws LockstepException {
        Paging paging = of(query, limitDefault);
        if (paging.cursor != null && !paging.cursor.matches("[0-9]{1,18}")) {
            throw foreign(query.get("cursor"));
        }
        return paging;
    }

    private static String encode(String key) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(key.getBytes(StandardCharsets.UTF_8));
    }

    private static String decode(String cursor) throws BadRequestException {
        try {
            return new String(Base64.getUrlDecoder().decode(cursor), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw foreign(cursor);
        }
    }

    private static BadRequestException foreign(@Nullable String cursor) {
        return new BadRequestException(
                "cursor " + cursor + " is none that this agent gave: take nextCursor as it came.");
    }
}
