import Foundation

/// The sandbox Gemini in a process of its own.
public final class Gemini: @unchecked Sendable {
    public var url: String { sandbox.url }
    private let sandbox: Sandbox

    /// - Parameters:
    ///   - delay, interval: milliseconds to the first byte of an answer, and between its chunks.
    ///   - faults: how it misbehaves by itself, as `SEED:RATE`.
    public init(folder: Folder, delay: Int = 0, interval: Int = 0, faults: String? = nil) throws {
        sandbox = try Sandbox(
            "sandbox-gemini",
            ["--delay-ms", String(delay), "--chunk-ms", String(interval), "--seed", "1"]
                + (faults.map { ["--faults", $0] } ?? []),
            folder: folder)
    }

    /// A request that it received.
    public struct Request: Sendable {
        public let path: String
        public let headers: JSONValue
        public let body: JSONValue
        /// Seconds since 1970.
        public let time: Double
        /// What the conversation consists of, as `user: Hello`.
        public var turns: [String] {
            body["contents"].list.map { "\($0["role"].text ?? "?"): \($0["parts"][0]["text"].text ?? "?")" }
        }
    }

    /// The requests for replies that it received, oldest first.
    public func requests() throws -> [Request] {
        try sandbox.http("GET", "/sandbox/requests").list.map { entry in
            Request(
                path: entry["path"].text ?? "", headers: entry["headers"], body: entry["body"],
                time: Gemini.seconds(entry["time"].text ?? ""))
        }
    }

    /// How often each fault was played.
    public func faults() throws -> [String: Int] {
        let counts = try sandbox.http("GET", "/sandbox/faults")
        return Dictionary(uniqueKeysWithValues: counts.names.map { ($0, Int(counts[$0].number ?? 0)) })
    }

    /// What comes back, byte for byte, for a message whose answer is streamed, until the end or until nothing came for so
    /// many seconds.
    public func stream(_ message: String, patience: Int = 60) throws -> String {
        let body: JSONValue = ["contents": [["role": "user", "parts": [["text": .string(message)]]]]]
        let path = "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
        return String(decoding: try sandbox.exchange("POST", path, body: body.bytes, patience: patience), as: UTF8.self)
    }

    private static func seconds(_ time: String) -> Double {
        let format = ISO8601DateFormatter()
        format.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        return format.date(from: time)?.timeIntervalSince1970 ?? 0
    }
}
