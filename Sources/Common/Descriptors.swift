import Glibc

/// What to do when there is no descriptor left, of this process (EMFILE) or of the host (ENFILE): wait until some are given back.
enum Descriptors {
    /// Milliseconds until the next try.
    static let pause = 100

    /// Whether this `errno` says so, or that the kernel has no memory for one.
    static func areLacking(_ number: Int32) -> Bool { [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(number) }

    /// What `make` gives, tried again while there is none to be had.
    static func patiently(_ make: () -> Int32) -> Int32 {
        var descriptor = make()
        if descriptor < 0, areLacking(errno) { Log.error("out of descriptors; waiting for one") }
        while descriptor < 0, areLacking(errno) {
            usleep(UInt32(pause) * 1_000)
            descriptor = make()
        }
        return descriptor
    }
}
