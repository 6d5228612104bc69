/*
 * A server whose every answer depends on all requests before it. On TCP port 7, one connection at a time:
 *   request  "N\n"                a number chosen by the client
 *   answer   "N COUNT HASH\n"     how many requests there were, this one included, and a hash over all of them
 *   request  "N log\n"            the same, but the answer is on the disk before it is given: appended to the log, fsync(2)
 *   answer   "N COUNT HASH NS\n"  and when that was by the guest's clock: a line that is written again is another one
 * A client that recomputes both finds any request that the guest has forgotten, and any that it has seen twice.
 *
 *   server [LOG]                  LOG is the log's file; without it there is none, and a request for it ends the connection
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 7
#define LINE_BYTES 96
#define HASH_FACTOR 0xD1342543DE82EF95ull

static uint64_t count, hash;
static int logged = -1;

/* 0 when all of it is on the disk. */
static int append(const char *text, int bytes) {
    for (int at = 0; at < bytes;) {
        ssize_t n = write(logged, text + at, (size_t)(bytes - at));
        if (n < 0) {
            perror("server: log");
            return -1;
        }
        at += (int)n;
    }
    if (fsync(logged)) {
        perror("server: fsync");
        return -1;
    }
    return 0;
}

static int answer(int to, uint64_t number, int log) {
    char text[LINE_BYTES];
    struct timespec now;
    count++;
    hash = (hash ^ number) * HASH_FACTOR + count;
    int bytes = snprintf(text, sizeof text, "%llu %llu %016llx", (unsigned long long)number, (unsigned long long)count,
                         (unsigned long long)hash);
    if (log) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        bytes += snprintf(text + bytes, sizeof text - (size_t)bytes, " %lld%09ld", (long long)now.tv_sec, now.tv_nsec);
    }
    text[bytes++] = '\n';
    if (log && append(text, bytes))
        return -1;
    for (int at = 0; at < bytes;) {
        ssize_t n = send(to, text + at, (size_t)(bytes - at), MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        at += (int)n;
    }
    return 0;
}

static void serve(int from) {
    char buffer[4096], line[LINE_BYTES];
    size_t length = 0;
    ssize_t n;
    while ((n = recv(from, buffer, sizeof buffer, 0)) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] == '\n') {
                line[length] = 0;
                length = 0;
                if (answer(from, strtoull(line, NULL, 10), strstr(line, " log") != NULL))
                    return;
            } else if (length < sizeof line - 1) {
                line[length++] = buffer[i];
            }
        }
}

int main(int argc, char **argv) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    if (argc > 1 && (logged = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
        perror(argv[1]);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4)) {
        perror("server");
        return 1;
    }
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) {
            perror("server: accept");
            return 1;
        }
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        serve(connection);
        close(connection);
    }
}
