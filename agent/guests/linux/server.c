/*
 * A server whose every answer depends on all requests before it. On TCP port 7, one connection at a time:
 *   request  "N\n"             a number chosen by the client
 *   answer   "N COUNT HASH\n"  how many requests there were, this one included, and a hash over all of them
 * A client that recomputes both finds any request that the guest has forgotten, and any that it has seen twice.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 7
#define LINE_BYTES 64
#define HASH_FACTOR 0xD1342543DE82EF95ull

static uint64_t count, hash;

static void answer(int to, uint64_t number) {
    char text[LINE_BYTES];
    count++;
    hash = (hash ^ number) * HASH_FACTOR + count;
    int bytes = snprintf(text, sizeof text, "%llu %llu %016llx\n", (unsigned long long)number, (unsigned long long)count,
                         (unsigned long long)hash);
    for (int at = 0; at < bytes;) {
        ssize_t n = send(to, text + at, (size_t)(bytes - at), MSG_NOSIGNAL);
        if (n <= 0)
            return;
        at += (int)n;
    }
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
                answer(from, strtoull(line, NULL, 10));
            } else if (length < sizeof line - 1) {
                line[length++] = buffer[i];
            }
        }
}

int main(void) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
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
