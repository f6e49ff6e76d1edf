import CLinux
import Glibc

/// Waits for descriptors (epoll).
public final class Poller {
    private let descriptor = Descriptors.patiently { epoll_create1(Int32(EPOLL_CLOEXEC)) }
    /// A listening socket that is not watched for a while, and until when, in monotonic milliseconds.
    private var paused: (descriptor: Int32, end: Int)?
    /// When it was last logged that one is paused.
    private var told: Int?

    private var events = [epoll_event](repeating: epoll_event(), count: 64)

    public init() {}
    deinit { close(descriptor) }

    /// Adds a descriptor; once it is closed, it is watched no more.
    /// - Parameters:
    ///   - exclusively: of several processes that wait for one descriptor, wake one and not all.
    ///   - forHangUp: only tell when the other side has gone.
    public func watch(_ descriptor: Int32, exclusively: Bool = false, forHangUp: Bool = false) {
        var event = epoll_event()
        event.events = (forHangUp ? EPOLLRDHUP : EPOLLIN).rawValue | (exclusively ? EPOLLEXCLUSIVE.rawValue : 0)
        event.data.fd = descriptor
        // Watched already (EEXIST) is just as well.
        epoll_ctl(self.descriptor, EPOLL_CTL_ADD, descriptor, &event)
    }

    /// Watches a descriptor no longer.
    public func unwatch(_ descriptor: Int32) { epoll_ctl(self.descriptor, EPOLL_CTL_DEL, descriptor, nil) }

    /// Of a descriptor that is watched for the other side's going: also tell when it takes more, or no longer.
    public func watch(_ descriptor: Int32, forRoom: Bool) {
        var event = epoll_event()
        event.events = EPOLLRDHUP.rawValue | (forRoom ? EPOLLOUT.rawValue : 0)
        event.data.fd = descriptor
        epoll_ctl(self.descriptor, EPOLL_CTL_MOD, descriptor, &event)
    }

    /// Does not watch a listening socket for a moment, as no connection can be taken for want of descriptors: it would be ready all the
    /// time. What else is watched is told as ever, and can give some back. Logged at most once a minute.
    public func pause(_ listener: Int32) {
        let now = monotonicMilliseconds()
        epoll_ctl(descriptor, EPOLL_CTL_DEL, listener, nil)
        paused = (listener, now + Descriptors.pause)
        if told.map({ now - $0 > 60_000 }) ?? true {
            Log.error("out of descriptors; connections wait until some are given back")
            told = now
        }
    }

    /// The descriptors that are ready; none when `milliseconds` are over (-1: never).
    public func wait(milliseconds: Int) -> [Int32] { events(within: milliseconds).map(\.descriptor) }

    /// The descriptors that are ready, as `wait` gives them, and whether the other side has gone.
    public func events(within milliseconds: Int) -> [(descriptor: Int32, hasHungUp: Bool)] {
        var count: Int32
        let deadline = milliseconds < 0 ? Int.max : monotonicMilliseconds() + milliseconds
        while true {
            var left = milliseconds
            if let (listener, end) = paused {
                let now = monotonicMilliseconds()
                if end <= now {
                    paused = nil
                    watch(listener, exclusively: true)
                }
                left = deadline == .max && paused == nil ? -1 : max(0, min(deadline, paused?.end ?? deadline) - now)
            }
            count = epoll_wait(descriptor, &events, Int32(events.count), Int32(clamping: left))
            // A process that is stopped and goes on has not waited in vain; nor is the end of a pause news.
            if count < 0 && errno == EINTR || count == 0 && paused != nil && monotonicMilliseconds() < deadline {
                continue
            }
            break
        }
        let gone = EPOLLRDHUP.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue
        return events.prefix(max(0, Int(count))).map { ($0.data.fd, $0.events & gone != 0) }
    }
}

/// Blocks `signals` and gives a descriptor that is readable when one has come.
public func blockedSignals(_ signals: [Int32]) -> Int32 {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    sigprocmask(SIG_BLOCK, &set, nil)
    return Descriptors.patiently { signalfd(-1, &set, Int32(SFD_CLOEXEC)) }
}
