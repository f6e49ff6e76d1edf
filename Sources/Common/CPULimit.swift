import Glibc

/// Bounds the CPU time of one piece of work: a request, a round of the streams' loop, a piece of a long answer.
///
/// The kernel counts the process's CPU time (`ITIMER_PROF`), so waiting is free: a held request and a slow reader are no work.
/// A process that exceeds the limit logs one line and ends by SIGPROF; its supervisor starts another.
public enum CPULimit {
    /// The line, ready to be written by a signal handler, which may not allocate memory.
    private nonisolated(unsafe) static var line: UnsafeMutablePointer<CChar>?
    private nonisolated(unsafe) static var length = 0

    private static let isInstalled: Void = {
        let text =
            "{\"level\":\"error\",\"program\":\"\(Log.program)\",\"pid\":\(getpid()),"
            + "\"message\":\"a request exceeded its CPU limit; the process ends\",\"limit_ms\":\"\(Settings.requestCPU)\"}\n"
        (line, length) = (strdup(text), text.utf8.count)
        signal(SIGPROF) { number in
            write(2, CPULimit.line, CPULimit.length)
            // Delivered again when this returns.
            signal(number, SIG_DFL)
            raise(number)
        }
    }()

    /// Begins a piece of work; ends the one before.
    public static func restart() {
        isInstalled
        set(milliseconds: Settings.requestCPU)
    }

    /// Ends the limit, which would outlive an exec.
    static func stop() { set(milliseconds: 0) }

    private static func set(milliseconds: Int) {
        var timer = itimerval()
        timer.it_value = timeval(tv_sec: milliseconds / 1_000, tv_usec: milliseconds % 1_000 * 1_000)
        setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    }
}
