import Common
import Foundation
import TestSupport
import Testing

/// What a process does that has no descriptor left for a connection: it waits, and says so once.
@Suite(.threads)
struct DescriptorsTests {
    @Test(arguments: [("health", 200), ("stream-reply", 401)])
    func `Without descriptors a handler does not spin, says so once and recovers by itself`(name: String, status: Int)
        throws
    {
        let backend = try Backend()
        let endpoint = try backend.endpoint(name)
        let process = endpoint.processes[0]
        try eventually("its loop") { try isListening(process) }
        try setDescriptorLimit(of: process, to: try lowestFree(process))

        let request = try FastCGI(endpoint.listener.path)
        request.sendRequest(Backend.parameters())
        try eventually("the log") { process.error.contains("out of descriptors") }
        let before = try processorSeconds(process)
        usleep(2_000_000)
        let used = try processorSeconds(process) - before
        #expect(used < 0.2, "\(used) s of 2")
        #expect(!request.hasAnswer && process.isRunning)
        #expect(process.error.matches(of: /out of descriptors/).count == 1, "\(process.error)")

        try setDescriptorLimit(of: process, to: 100)
        #expect(try request.answer(seconds: 20).status == status)
        #expect(try backend.call(name).status == status)
    }

    @Test
    func `While a listening socket is paused, all else is told, and then it is told again`() throws {
        let folder = try Folder()
        let listener = try Listener(path: "\(folder.path)/paused.sock")
        let connection = try FastCGI(listener.path)
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let poller = Poller()
        poller.watch(listener.descriptor, exclusively: true)
        poller.watch(ends[0])
        #expect(poller.wait(milliseconds: 0) == [listener.descriptor])
        poller.pause(listener.descriptor)
        #expect(poller.wait(milliseconds: 20) == [])
        #expect(write(ends[1], "x", 1) == 1)
        #expect(poller.wait(milliseconds: 20) == [ends[0]])
        var byte: UInt8 = 0
        #expect(read(ends[0], &byte, 1) == 1)
        // However long one would wait, it is taken up again when the pause ends.
        #expect(poller.wait(milliseconds: -1) == [listener.descriptor])
        withExtendedLifetime(connection) {}
    }

    // MARK: The process

    /// The lowest descriptor that the process does not have: the next that it would get.
    private func lowestFree(_ process: Executable) throws -> Int {
        let taken = Set(
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.pid)/fd").compactMap { Int($0) })
        return (0...).first { !taken.contains($0) } ?? 0
    }

    /// Whether it has all that it has before the first connection: the descriptor of its signals is the last.
    private func isListening(_ process: Executable) throws -> Bool {
        let folder = "/proc/\(process.pid)/fd"
        return try FileManager.default.contentsOfDirectory(atPath: folder).contains { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)")) == "anon_inode:[signalfd]"
        }
    }

    private func setDescriptorLimit(of process: Executable, to limit: Int) throws {
        let folder = try Folder()
        let change = try Executable(
            "/usr/bin/prlimit", ["--pid", String(process.pid), "--nofile=\(limit):"], folder: folder.path)
        #expect(try change.wait() == .code(0), "\(change.error)")
    }

    /// What it has used of the processor so far.
    private func processorSeconds(_ process: Executable) throws -> Double {
        let line = try String(contentsOfFile: "/proc/\(process.pid)/stat", encoding: .utf8)
        let fields = line.split(separator: ")").last?.split(separator: " ") ?? []
        return ((Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0)) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
