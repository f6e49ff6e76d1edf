import Common
import Foundation
import TestSupport

/// What tests of attachments do again and again.
extension Backend {
    /// Uploads a file and gives its id.
    func upload(_ file: [UInt8], _ person: Person, name: String = "") throws -> String {
        let answer = try call("upload-attachment", token: person.token, raw: file, type: "", query: "name=\(name)")
        guard answer.status == 201, let id = answer.json["id"].text else {
            throw Executable.Failure("\(answer.status) \(answer.text)")
        }
        return id
    }

    /// Sends a message that has these.
    func send(
        _ content: String, _ attachments: [String], to room: String, _ person: Person
    ) throws -> Answer {
        try call(
            "send-message", room: room, token: person.token,
            body: ["content": .string(content), "attachments": .array(attachments.map { .string($0) })])
    }

    func attachment(_ id: String, _ person: Person, headers: [String: String] = [:]) throws -> Answer {
        try call("get-attachment", token: person.token, path: ["ATTACHMENT_ID": id], headers: headers)
    }

    /// The most memory that an endpoint's first process has had, in kB.
    func peak(_ endpoint: String) throws -> Int { try Memory.peak(self.endpoint(endpoint).processes[0]) }
}

enum Memory {
    /// The most that a process has had, in kB.
    static func peak(_ process: Executable) throws -> Int { try number("VmHWM", process) }

    private static func number(_ name: String, _ process: Executable) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
        guard
            let number = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) })
        else { throw Executable.Failure("no \(name) in \(status)") }
        return number
    }
}
