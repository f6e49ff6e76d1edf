import Common
import Foundation

/// A test's own world: a database, the endpoints that it calls, workers, a stand-in for Gemini. All of it ends with it.
public final class Backend: @unchecked Sendable {
    public let database: TestDatabase
    public let folder: Folder
    /// The environment of its processes.
    public let settings: [String: String]
    private let processes: Int
    private let programKeys: [String: String]?
    private let lock = NSLock()
    private var endpoints: [String: Endpoint] = [:]
    private var sandbox: Gemini?

    /// An endpoint's socket, and the processes that serve it.
    public final class Endpoint: @unchecked Sendable {
        public let listener: Listener
        public fileprivate(set) var processes: [Executable] = []
        fileprivate init(listener: Listener) { self.listener = listener }
    }

    /// The key that signs tokens, as the tests that forge them need it.
    public static let key = [UInt8]("the first of the tests' own keys".utf8)
    public static let olderKey = [UInt8]("the older of the tests' own keys".utf8)

    /// - Parameters:
    ///   - settings: more of the environment, or other values.
    ///   - database: a new one unless given.
    ///   - processes: how many serve each endpoint.
    ///   - programKeys: `TOKEN_KEYS` of each program, instead of one for all; a program that is not named has none.
    public init(
        _ settings: [String: String] = [:], database: TestDatabase? = nil, processes: Int = 1,
        programKeys: [String: String]? = nil
    ) throws {
        folder = try Folder()
        let database = try database ?? Postgres.shared().createDatabase()
        self.database = database
        self.processes = processes
        self.programKeys = programKeys
        let keys = [("new", Backend.key), ("old", Backend.olderKey)]
        self.settings = [
            "DATABASE_URL": database.url,
            "TOKEN_KEYS": keys.map { "\($0):\(Data($1).base64EncodedString())" }.joined(separator: ","),
            "OTP_DELIVERY": "response",
            // Who tests something else sends as much as they like.
            "LIMITS": "off",
            // All tests are of one address.
            "OTP_PER_ADDRESS_HOUR": "0",
            "DOORBELL": "\(folder.path)/doorbell",
            "LOG_LEVEL": "info",
            // A busy machine is no Postgres that is away.
            "STATEMENT_TIMEOUT_MS": "60000", "CONNECT_TIMEOUT_MS": "60000",
            // Tests count what Gemini was asked.
            "TITLES": "off",
        ].merging(settings) { $1 }
    }

    // MARK: Endpoints

    /// The endpoint of this name, started when it is first asked for.
    public func endpoint(_ name: String) throws -> Endpoint {
        try lock.withLock {
            if let endpoint = endpoints[name] { return endpoint }
            let endpoint = Endpoint(listener: try Listener(path: "\(folder.path)/\(name)"))
            endpoint.processes = try (0..<processes).map { _ in try start(name, endpoint.listener) }
            endpoints[name] = endpoint
            return endpoint
        }
    }

    /// Starts anew those of an endpoint's processes that have ended, as a supervisor would.
    public func revive(_ name: String) throws {
        let endpoint = try endpoint(name)
        try lock.withLock {
            endpoint.processes = try endpoint.processes.map { $0.isRunning ? $0 : try start(name, endpoint.listener) }
        }
    }

    private func start(_ name: String, _ listener: Listener) throws -> Executable {
        try Executable(name, environment: settings(of: name), input: listener.descriptor, folder: folder.path)
    }

    /// The environment of one program: its role in Postgres is its own, as in a deployment.
    private func settings(of name: String) -> [String: String] {
        var settings = settings
        if settings["DATABASE_URL"] == database.url { settings["DATABASE_URL"] = database.url(as: "chat-\(name)") }
        if let programKeys { settings["TOKEN_KEYS"] = programKeys[name == "worker" ? "cron-worker" : name] }
        return settings
    }

    /// Sends a request as nginx would pass it on, and gives what came back.
    /// - Parameters:
    ///   - room, message, session: the ids of the path; `path`: others, by the names of their meta-variables.
    ///   - token: an access token.
    ///   - body: sent as JSON; `raw`: sent as it is, with this content type.
    ///   - headers: by their names as sent: `If-None-Match`.
    public func call(
        _ name: String, room: String? = nil, message: String? = nil, session: String? = nil, token: String? = nil,
        path: [String: String] = [:], body: JSONValue? = nil, raw: [UInt8]? = nil, type: String = "application/json",
        query: String = "", headers: [String: String] = [:], seconds: Double = 60
    ) throws -> Answer {
        let connection = try FastCGI(endpoint(name).listener.path)
        let bytes = raw ?? body?.bytes ?? []
        connection.sendRequest(
            Backend.parameters(
                room: room, message: message, session: session, token: token, length: bytes.count,
                type: raw == nil && body == nil ? "" : type, query: query, headers: headers
            ).merging(path) { $1 },
            body: bytes)
        return try connection.answer(seconds: seconds)
    }

    /// The meta-variables of a request.
    public static func parameters(
        room: String? = nil, message: String? = nil, session: String? = nil, token: String? = nil, length: Int = 0,
        type: String = "",
        query: String = "", headers: [String: String] = [:]
    ) -> [String: String] {
        var parameters = [
            "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1",
            "REQUEST_METHOD": length > 0 || !type.isEmpty ? "POST" : "GET", "QUERY_STRING": query,
            "CONTENT_LENGTH": length > 0 ? String(length) : "", "CONTENT_TYPE": type, "REMOTE_ADDR": "127.0.0.1",
            "CHATROOM_ID": room ?? "", "MESSAGE_ID": message ?? "", "SESSION_ID": session ?? "",
            "REQUEST_ID": "test-\(UUID().uuidString.prefix(8))",
        ]
        if let token { parameters["HTTP_AUTHORIZATION"] = "Bearer \(token)" }
        for (name, value) in headers {
            parameters["HTTP_" + name.uppercased().replacingOccurrences(of: "-", with: "_")] = value
        }
        return parameters
    }

    // MARK: What most tests begin with

    /// Somebody who has signed in.
    public struct Person: Sendable {
        public let mobile: String
        public let token: String
        public let id: String
        public let refreshToken: String
    }

    private static let numbers = Counter()
    /// A mobile number that no other test has.
    public static func mobile() -> String { "+9198\(String(100_000_000 + numbers.next()).dropFirst())" }

    /// Signs a new person up and in, the way a person does.
    public func signIn() throws -> Person {
        let mobile = Backend.mobile()
        try expect(try call("signup", body: ["mobile": .string(mobile)]), 201)
        return try signIn(mobile: mobile)
    }

    /// Signs in by a code, from this address and with this `User-Agent`. The first time, that proves the number, and sets a password.
    public func signIn(
        mobile: String, password: String? = nil, from address: String = "127.0.0.1", agent: String? = nil
    ) throws -> Person {
        let headers = agent.map { ["User-Agent": $0] } ?? [:]
        func post(_ name: String, _ body: JSONValue) throws -> JSONValue {
            try expect(try call(name, path: ["REMOTE_ADDR": address], body: body, headers: headers), 200)
        }
        let sent = try post("send-otp", ["mobile": .string(mobile)])
        let answer = try post(
            "verify-otp",
            ["mobile": .string(mobile), "otp": sent["otp"], "password": password.map { .string($0) } ?? .null])
        guard let token = answer["token"].text, let id = answer["user"]["id"].text,
            let refreshToken = answer["refresh_token"].text
        else { throw Executable.Failure("no token in \(answer)") }
        return Person(mobile: mobile, token: token, id: id, refreshToken: refreshToken)
    }

    /// Has somebody be on the plan `pro`.
    public func upgrade(_ person: Person) throws {
        try database.connect().execute(
            "insert into pro_grants (user_id, until) values (\(person.id), 'infinity') on conflict do nothing")
    }

    /// Has them be on `basic` again.
    public func downgrade(_ person: Person) throws {
        try database.connect().execute("delete from pro_grants where user_id = \(person.id)::uuid")
    }

    /// Has it be about noon where somebody lives, so that their day does not end while what they do in it is counted.
    public func moveToNoon(_ person: Person) throws {
        try database.connect().execute(
            """
            update users set timezone = 'Etc/GMT' || to_char(extract(hour from now() at time zone 'UTC') - 12, 'FMSG99')
            where id = \(person.id)::uuid
            """)
    }

    /// Makes a room and gives its id.
    public func room(_ person: Person, _ body: JSONValue = [:]) throws -> String {
        try text(try expect(try call("create-chatroom", token: person.token, body: body), 201)["id"])
    }

    /// Posts a message and gives the id of the reply to come.
    public func post(_ content: String, _ room: String, _ person: Person) throws -> String {
        let body: JSONValue = ["content": .string(content)]
        return try text(
            try expect(try call("send-message", room: room, token: person.token, body: body), 202)["reply"]["id"])
    }

    /// Waits until a reply is finished, and gives it.
    public func reply(_ message: String, _ room: String, _ person: Person, within seconds: Double = 180) throws
        -> JSONValue
    {
        var reply = JSONValue.missing
        try eventually("reply \(message)", within: seconds) {
            reply = try expect(try call("get-message", room: room, message: message, token: person.token), 200)
            return !["queued", "running"].contains(reply["status"].text)
        }
        return reply
    }

    @discardableResult
    private func expect(_ answer: Answer, _ status: Int) throws -> JSONValue {
        guard answer.status == status else {
            throw Executable.Failure("\(answer.status) and not \(status): \(answer.text)")
        }
        return answer.json
    }

    private func text(_ value: JSONValue) throws -> String {
        guard let text = value.text else { throw Executable.Failure("no text: \(value)") }
        return text
    }

    // MARK: The worker and Gemini

    /// Starts a worker that works for so long.
    public func worker(seconds: Int = 600, _ more: [String: String] = [:]) throws -> Executable {
        var environment = settings(of: "worker")
        environment["GEMINI_BASE_URL"] = try settings["GEMINI_BASE_URL"] ?? gemini().url
        environment["GEMINI_API_KEY"] = settings["GEMINI_API_KEY"] ?? "sandbox-key"
        return try Executable(
            "cron-worker", ["--seconds", String(seconds)], environment: environment.merging(more) { $1 },
            folder: folder.path)
    }

    /// The sandbox that stands in for Gemini, started when it is first asked for. It answers without delay.
    public func gemini() throws -> Gemini {
        try lock.withLock {
            if let sandbox { return sandbox }
            let gemini = try Gemini(folder: folder)
            sandbox = gemini
            return gemini
        }
    }
}
