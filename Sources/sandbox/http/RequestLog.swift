import FoundationEssentials
import Synchronization

/// The latest requests that a stand-in received, so that tests can see what was really sent.
///
/// `GET /sandbox/requests` gives them as a JSON array of `{method, path, headers, time, body}`, oldest first;
/// `DELETE /sandbox/requests` forgets them. Both are for the tests and are not recorded themselves.
public final class RequestLog: Sendable {
    private struct Head: Encodable {
        let method: String
        let path: String
        let headers: [String: String]
        let time: String
    }

    private struct Entry {
        let head: Head
        let body: [UInt8]
    }

    /// Decodes from anything, so that decoding it says whether bytes are JSON.
    private struct AnyJSON: Decodable {
        init(from decoder: any Decoder) {}
    }

    private struct Kept {
        var entries: [Entry] = []
        var bytes = 0
    }

    private static let entryLimit = 1000
    private static let byteLimit = 64 << 20

    private let secrets: Set<String>
    private let kept = Mutex(Kept())

    /// Of the headers and query items named in `secrets` only the last four characters are kept.
    public init(secrets: Set<String>) {
        self.secrets = secrets
    }

    /// Whether the request was one for the log itself, and is answered with this.
    public func serve(_ request: HTTPRequest, _ exchange: HTTPExchange) throws -> Bool {
        guard request.path == "/sandbox/requests" else { return false }
        switch request.method {
        case "GET":
            try exchange.answer(status: 200, type: "application/json", body: try json())
        case "DELETE":
            kept.withLock { $0 = Kept() }
            try exchange.answer(status: 200, type: "application/json", body: Array("{}".utf8))
        default:
            try exchange.answer(
                status: 405, type: "text/plain", headers: [("Allow", "GET, DELETE")], body: Array("GET, DELETE\n".utf8))
        }
        return true
    }

    /// Remembers a request; of the remembered, the oldest beyond 1,000 (or 64 MB) are forgotten.
    public func record(_ request: HTTPRequest) {
        let head = Head(
            method: request.method, path: masked(target: request.target),
            headers: request.headers.reduce(into: [:]) { $0[$1.key] = masked($1.value, name: $1.key) },
            time: Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
        kept.withLock { kept in
            kept.entries.append(Entry(head: head, body: request.body))
            kept.bytes += request.body.count
            while kept.entries.count > Self.entryLimit || (kept.bytes > Self.byteLimit && kept.entries.count > 1) {
                kept.bytes -= kept.entries.removeFirst().body.count
            }
        }
    }

    private func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let objects = try kept.withLock(\.entries).map { entry in
            // A body is shown as it came: spliced in where it is JSON, else as a string.
            let isJSON = (try? JSONDecoder().decode(AnyJSON.self, from: Data(entry.body))) != nil
            let body = isJSON ? Data(entry.body) : try encoder.encode(String(decoding: entry.body, as: UTF8.self))
            let head = try encoder.encode(entry.head)
            return head.dropLast() + Data(",\"body\":".utf8) + body + Data("}".utf8)
        }
        return Array("[".utf8) + objects.joined(separator: Data(",\n".utf8)) + Array("]".utf8)
    }

    private func masked(_ value: String, name: String) -> String {
        guard secrets.contains(name) else { return value }
        return value.count > 4 ? "…" + value.suffix(4) : "…"
    }

    private func masked(target: String) -> String {
        target.split(separator: "&", omittingEmptySubsequences: false).map { piece in
            guard let equals = piece.firstIndex(of: "=") else { return String(piece) }
            let name = piece[..<equals].split(separator: "?").last ?? ""
            let value = String(piece[piece.index(after: equals)...])
            return piece[...equals] + masked(value, name: String(name))
        }.joined(separator: "&")
    }
}
