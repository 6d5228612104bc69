/*
 * Sends one command to the management controller and prints the answer:   bmc NETFN COMMAND [BYTE]...   all hexadecimal.
 * The first byte printed is the completion code, 0 for done (IPMI 2.0, 5.2); the program's exit status says the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ipmi.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ANSWER_MS 10000

static int fail(const char *what) {
    fprintf(stderr, "bmc: %s: %s\n", what, strerror(errno));
    return 2;
}

int main(int count, char **argument) {
    unsigned char bytes[IPMI_MAX_MSG_LENGTH];
    struct ipmi_system_interface_addr to = {.addr_type = IPMI_SYSTEM_INTERFACE_ADDR_TYPE, .channel = IPMI_BMC_CHANNEL};
    struct ipmi_req request = {.addr = (unsigned char *)&to, .addr_len = sizeof to, .msgid = 1};
    if (count < 3 || count - 3 > (int)sizeof bytes)
        return 2;
    request.msg.netfn = (unsigned char)strtoul(argument[1], NULL, 16);
    request.msg.cmd = (unsigned char)strtoul(argument[2], NULL, 16);
    request.msg.data = bytes;
    for (int i = 3; i < count; i++)
        bytes[request.msg.data_len++] = (unsigned char)strtoul(argument[i], NULL, 16);
    int controller = open("/dev/ipmi0", O_RDWR | O_CLOEXEC);
    if (controller < 0)
        return fail("/dev/ipmi0");
    if (ioctl(controller, IPMICTL_SEND_COMMAND, &request))
        return fail("send");
    struct pollfd answer = {.fd = controller, .events = POLLIN};
    if (poll(&answer, 1, ANSWER_MS) != 1)
        return fail("no answer");
    struct ipmi_addr from;
    struct ipmi_recv received = {.addr = (unsigned char *)&from, .addr_len = sizeof from, .msg = {.data = bytes, .data_len = sizeof bytes}};
    if (ioctl(controller, IPMICTL_RECEIVE_MSG_TRUNC, &received))
        return fail("receive");
    for (int i = 0; i < received.msg.data_len; i++)
        printf("%s%02x", i ? " " : "", bytes[i]);
    printf("\n");
    return received.msg.data_len > 0 && bytes[0] == 0 ? 0 : 1;
}
