import Common
import Foundation
import TestSupport
import Testing

/// Text that costs much CPU where it is handled as characters.
@Suite(.threads)
struct HostileTextTests {
    /// 30 KB of combining marks, which Swift takes seconds to hash.
    static let marks = "a" + String(repeating: "\u{301}\u{316}", count: 7_500)

    @Test
    func `No endpoint spends more than 20 ms of CPU on a request, whatever is in it`() throws {
        let folder = try Folder()
        let bench = try Executable(
            "/bin/bash", ["\(projectFolder)/bench/hostile", Executable.folder], folder: folder.path)
        let exit = try bench.wait(seconds: 1_800)
        #expect(exit == .code(0), "\(bench.output)\(bench.error)")
        let routes = try String(contentsOfFile: "\(projectFolder)/nginx/routes.conf", encoding: .utf8)
        let endpoints = Set(routes.matches(of: /(?m)^"[^"]*" +([a-z-]+);/).map { String($0.output.1) })
        for endpoint in endpoints { #expect(bench.output.contains("\n\(endpoint) "), "\(endpoint)") }
    }

    @Test
    func `Members with long names, or names that are not ASCII, are unknown and ignored`() throws {
        let backend = try Backend()
        let person = try backend.signIn()
        let names = [Self.marks, "título", String(repeating: "x", count: 10_000), "ti\u{301}tle", "\u{FF54}itle"]
        for name in names {
            let raw = JSONValue.object([name: 1, "title": "Travel", "system_instruction": "Be brief."]).bytes
            let answer = try backend.call("create-chatroom", token: person.token, raw: raw)
            #expect(answer.status == 201 && answer.json["title"] == "Travel", "\(answer.text)")
        }
        // An escape is another spelling of the same name (RFC 8259, 8.3).
        let answer = try backend.call(
            "create-chatroom", token: person.token, raw: Array(#"{"t\u0069tle":"Travel"}"#.utf8))
        #expect(answer.status == 201 && answer.json["title"] == "Travel", "\(answer.text)")
    }

    @Test
    func `A body may have 10,000 values`() throws {
        let backend = try Backend()
        let person = try backend.signIn()
        for (count, status) in [(9_998, 201), (10_000, 400)] {
            let list = "[\(Array(repeating: "1", count: count).joined(separator: ","))]"
            let answer = try backend.call("create-chatroom", token: person.token, raw: Array("{\"x\":\(list)}".utf8))
            #expect(answer.status == status, "\(count): \(answer.text)")
        }
    }

    @Test
    func `A process whose request exceeds the CPU limit says so and ends`() throws {
        let backend = try Backend(["REQUEST_CPU_MS": "10"])
        // To hash a password takes about 50 ms.
        let body: JSONValue = ["mobile": "+919876543210", "password": "correct horse"]
        #expect(throws: Executable.Failure.self) { try backend.call("login", body: body) }
        let process = try backend.endpoint("login").processes[0]
        #expect(try process.wait() == .signal(SIGPROF))
        #expect(process.error.contains("exceeded its CPU limit"))
        try backend.revive("login")
        expectProblem(try backend.call("login", body: ["mobile": "x"]), 422, "invalid")
    }

    @Test
    func `To wait is no work`() throws {
        let backend = try Backend(["REQUEST_CPU_MS": "200"])
        let person = try backend.signIn()
        let room = try backend.room(person)
        let reply = try backend.post("Hello", room, person)
        let answer = try backend.call(
            "get-message", room: room, message: reply, token: person.token, headers: ["Prefer": "wait=2"])
        #expect(answer.status == 200)
        #expect(try backend.endpoint("get-message").processes[0].isRunning)
    }
}
