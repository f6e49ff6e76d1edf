// What the Swift module Glibc leaves out.
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

// Swift calls no variadic functions. As prctl: 0, or -1 with errno.
static inline int set_process_attribute(int attribute, unsigned long value) {
    return prctl(attribute, value, 0UL, 0UL, 0UL);
}
