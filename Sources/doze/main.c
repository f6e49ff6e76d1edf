// doze PROGRAM: waits, with next to no memory, for a connection on the listening socket on descriptor 0, then becomes PROGRAM,
// which serves it. A handler for which nothing has come for a while becomes this.
//
// What a handler has loaded takes 2 MB that no other process shares; this takes a thirtieth of that. It is C because Swift's
// libraries are the most of what it does without. Of those that wait on one socket, a connection wakes one.

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

// Whether errno says that there are no descriptors (or no memory for one) left; then, some time later. Whoever ended instead would be
// started again and again.
static bool has_waited(void) {
    static bool told = false;
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM) return false;
    if (!told) perror("doze: waiting");
    told = true;
    usleep(100000);
    return true;
}

int main(int count, char **arguments) {
    // As the handler was (Sources/Common/Hardening.swift): the rest of what bounds it outlives an exec, this does not.
    if (prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) != 0) perror("doze: not dumpable");
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    int poller;
    do poller = epoll_create1(EPOLL_CLOEXEC);
    while (poller < 0 && has_waited());
    if (count < 2 || poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event) != 0) {
        fputs("usage: doze PROGRAM [ARGUMENT...], with a listening socket on descriptor 0\n", stderr);
        return 64; // EX_USAGE
    }
    while (epoll_wait(poller, &event, 1, -1) < 0 && errno == EINTR) {}
    do execv(arguments[1], arguments + 1);
    while (has_waited());
    perror(arguments[1]);
    return 126;
}
