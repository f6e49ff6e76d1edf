import Foundation

/// A stream of server-sent events as its reader gets it (the HTML standard, 9.2.6), out of the records of FastCGI.
public final class EventStream: @unchecked Sendable {
    public struct Event: Equatable, Sendable {
        public let id: String
        public let name: String
        public let data: String

        public init(id: String, name: String, data: String) {
            (self.id, self.name, self.data) = (id, name, data)
        }

        /// The text of a delta.
        public var text: String? { JSONValue(Array(data.utf8))?["text"].text }
    }

    private let connection: FastCGI
    private var records: [UInt8] = []
    private var output: [UInt8] = []
    /// How much of the output holds no empty line.
    private var searched = 0
    private var hasEnded = false
    private var hasHead = false

    /// The answer before the events.
    public private(set) var head: Answer?
    /// How many comments have come.
    public private(set) var comments = 0
    /// Milliseconds to wait before coming back.
    public private(set) var retry: Int?
    /// Whether FastCGI's own end has come, rather than a connection cut short.
    public private(set) var isWhole = false

    public init(_ connection: FastCGI) { self.connection = connection }

    public func hangUp() { connection.hangUp() }

    /// The next event; nil at the end of the stream.
    public func next(seconds: Double = 60) throws -> Event? {
        while true {
            while let block = takeBlock() {
                if let event = event(in: block) { return event }
            }
            guard try read(seconds: seconds) else { return nil }
        }
    }

    /// All events up to the end of the stream.
    public func rest(seconds: Double = 60) throws -> [Event] {
        var events: [Event] = []
        while let event = try next(seconds: seconds) { events.append(event) }
        return events
    }

    /// Waits for the answer's head.
    public func awaitHead() throws {
        while !hasHead {
            if takeBlock() == nil, try !read(seconds: 60) { throw Executable.Failure("the stream ended") }
        }
    }

    /// Waits for so many more comments.
    public func awaitComments(_ count: Int, seconds: Double = 60) throws {
        let wanted = comments + count
        while comments < wanted {
            if let block = takeBlock() {
                if let event = event(in: block) { throw Executable.Failure("an event and no comment: \(event)") }
            } else if try !read(seconds: seconds) {
                throw Executable.Failure("the stream ended")
            }
        }
    }

    /// Reads more; false at the end.
    private func read(seconds: Double) throws -> Bool {
        guard !hasEnded else { return false }
        guard let bytes = try connection.receive(seconds: seconds) else {
            hasEnded = true
            return false
        }
        records += bytes
        var start = 0
        while start + 8 <= records.count {
            let length = Int(records[start + 4]) << 8 | Int(records[start + 5])
            let end = start + 8 + length
            guard end <= records.count else { break }
            if records[start + 1] == FastCGI.Record.output.rawValue { output += records[(start + 8)..<end] }
            if records[start + 1] == FastCGI.Record.end.rawValue { isWhole = true }
            start = end
        }
        records.removeFirst(start)
        return true
    }

    /// What is before the next empty line.
    private func takeBlock() -> String? {
        let separator = Array((hasHead ? "\n\n" : "\r\n\r\n").utf8)
        guard let range = output[max(0, searched - 3)...].firstRange(of: separator) else {
            searched = output.count
            return nil
        }
        let block = Array(output[..<range.lowerBound])
        output.removeFirst(range.upperBound)
        searched = 0
        guard hasHead else {
            head = try? Answer(cgi: block + separator)
            hasHead = true
            return ""
        }
        return String(decoding: block, as: UTF8.self)
    }

    private func event(in block: String) -> Event? {
        var fields: [String: String] = [:]
        for line in block.split(separator: "\n") {
            if line.hasPrefix(":") {
                comments += 1
                continue
            }
            let parts = line.split(separator: ":", maxSplits: 1)
            let value = parts.count > 1 ? String(parts[1].dropFirst()) : ""
            fields[String(parts[0])] = fields[String(parts[0])].map { $0 + "\n" + value } ?? value
        }
        if let value = fields["retry"] { retry = Int(value) }
        guard let data = fields["data"] else { return nil }
        return Event(id: fields["id"] ?? "", name: fields["event"] ?? "message", data: data)
    }
}
