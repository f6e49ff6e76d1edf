import Glibc

/// What an idle process does: it becomes the program that `DOZE` names (Sources/doze), which waits for the next connection with
/// next to no memory and then becomes this one again.
public enum Doze {
    private static let program = Settings.text("DOZE", default: "")

    /// Whether there is anything to become.
    public static let isPossible = !program.isEmpty

    /// Does not return where it is possible and succeeds. Nothing may be under way; what is open is lost but for descriptors 0 to 2.
    public static func begin() {
        guard isPossible else { return }
        CPULimit.stop()
        // What is blocked and what is ignored outlives an exec. Who is told to stop just now ends of it, as when it dozes: Swift would
        // write a backtrace, as of a crash.
        for number in [SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGPIPE] { signal(number, SIG_DFL) }
        var all = sigset_t()
        sigfillset(&all)
        sigprocmask(SIG_UNBLOCK, &all, nil)
        var arguments = [strdup(program)] + CommandLine.arguments.map { strdup($0) } + [nil]
        execv(program, &arguments)
        Log.error("cannot doze", ["program": program, "reason": String(cString: strerror(errno))])
        exit(78)
    }
}
