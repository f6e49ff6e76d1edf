import CLinux
import Glibc

/// What a process gives up at its start, however it was started, so that less can be done with one that is taken over or crashes.
public enum Hardening {
    /// From here on no program that this process becomes has more rights (`no_new_privs`), no process of its account can read its memory
    /// or trace it (not dumpable), and it leaves no core file. The limits outlive an exec, except that a program starts dumpable.
    ///
    /// Ends the process with exit code 71 (EX_OSERR) where the kernel refuses.
    public static func apply() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        guard set_process_attribute(PR_SET_NO_NEW_PRIVS, 1) == 0, set_process_attribute(PR_SET_DUMPABLE, 0) == 0,
            setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0
        else {
            Log.error("cannot give up rights", ["reason": String(cString: strerror(errno))])
            exit(71)
        }
    }
}
