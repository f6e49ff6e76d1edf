// What the Swift module Glibc leaves out.
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
