import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct ServeTests {
    let backend: Backend

    init() throws { backend = try Backend() }

    // MARK: FastCGI

    @Test
    func `One process answers many requests, one after the other`() throws {
        for _ in 0..<50 { #expect(try backend.call("health").status == 200) }
        #expect(try backend.endpoint("health").processes.count == 1)
        #expect(try backend.endpoint("health").processes[0].isRunning)
    }

    @Test
    func `The answer's length is announced`() throws {
        let answer = try backend.call("health")
        #expect(answer.header("Content-Length") == String(answer.body.count))
        #expect(answer.header("Status") == "200 OK")
    }

    @Test
    func `The caller's request id comes back and is logged, and without one there is a new one`() throws {
        let connection = try FastCGI(backend.endpoint("health").listener.path)
        connection.sendRequest(["REQUEST_METHOD": "GET", "REQUEST_ID": "the-callers-own-id"])
        #expect(try connection.answer().header("X-Request-Id") == "the-callers-own-id")
        var ids: [String] = []
        for _ in 0..<2 {
            let connection = try FastCGI(backend.endpoint("health").listener.path)
            connection.sendRequest(["REQUEST_METHOD": "GET"])
            ids.append(try #require(try connection.answer().header("X-Request-Id")))
        }
        #expect(ids.allSatisfy { $0.count >= 16 } && ids[0] != ids[1])
        let process = try backend.endpoint("health").processes[0]
        try eventually("the log") { ids.allSatisfy(process.error.contains) }
        #expect(process.error.contains("the-callers-own-id"))
    }

    @Test
    func `Each line of the log is JSON with its time, level, program and message`() throws {
        _ = try backend.call("get-me")
        _ = try backend.call("get-me", token: "\"\\\n\u{1}é")
        let connection = try FastCGI(backend.endpoint("get-me").listener.path)
        connection.sendRequest(["REQUEST_METHOD": "GET", "REQUEST_ID": "\"\\\n\t\u{1}\u{7f}é😀"])
        _ = try connection.output()
        let broken = try Backend(["DATABASE_URL": "host=/nonexistent/\"\\\n"])
        _ = try broken.call("ready")
        let logs = try [(backend, "get-me"), (broken, "ready")].map { backend, name in
            let process = try backend.endpoint(name).processes[0]
            process.terminate()
            #expect(try process.wait() == .code(0))
            return process.error
        }
        for log in logs {
            let lines = log.split(separator: "\n", omittingEmptySubsequences: true)
            #expect(lines.count >= 3)
            for line in lines {
                let entry = JSONValue(Array(line.utf8)) ?? .missing
                #expect(entry.names.isSuperset(of: ["time", "level", "program", "pid", "message"]), "\(line)")
                #expect(["error", "notice", "info"].contains(entry["level"].text))
                #expect(["get-me", "ready"].contains(entry["program"].text))
            }
        }
    }

    @Test
    func `Only what is asked for is logged`() throws {
        let backend = try Backend(["LOG_LEVEL": "error"])
        _ = try backend.call("health")
        let process = try backend.endpoint("health").processes[0]
        process.terminate()
        #expect(try process.wait() == .code(0))
        #expect(process.error.isEmpty)
    }

    @Test
    func `A setting that cannot be used ends the process at its start with one line that names it`() throws {
        for (name, value) in [
            ("STATEMENT_TIMEOUT_MS", "soon"), ("OTP_DELIVERY", "pigeon"), ("ACCESS_TOKEN_SECONDS", "-1"),
            ("PREPARED_STATEMENTS", "maybe"), ("LOG_LEVEL", "debug"), ("OTP_RESEND_SECONDS", "99999"),
        ] {
            let process = try Executable(
                "health", environment: backend.settings.merging([name: value]) { $1 }, folder: backend.folder.path)
            #expect(try process.wait() == .code(78), "\(name)")
            #expect(process.error.split(separator: "\n").count == 1 && process.error.contains(name))
        }
    }

    // MARK: Bodies

    @Test
    func `A body of up to 1 MB is read, a larger one is 413, announced or not`() throws {
        let padding = (1 << 20) - 40
        func body(_ size: Int) -> [UInt8] {
            Array(#"{"mobile":"+919876543210","x":""#.utf8) + [UInt8](repeating: 0x78, count: size) + Array("\"}".utf8)
        }
        #expect(try backend.call("signup", raw: body(padding)).status == 201)
        expectProblem(try backend.call("signup", raw: body(1 << 20)), 413, "body_too_large")
        expectProblem(try backend.call("signup", raw: body(10 << 20)), 413, "body_too_large")
        // Without a length, as of a chunked upload that nginx passes on unbuffered
        for (size, status) in [(padding, 201), (10 << 20, 413)] {
            let connection = try FastCGI(backend.endpoint("signup").listener.path)
            var parameters = Backend.parameters(type: "application/json")
            parameters["CONTENT_LENGTH"] = ""
            connection.sendRequest(parameters, body: body(size))
            #expect(try connection.answer().status == status)
        }
        #expect(try backend.endpoint("signup").processes[0].isRunning)
    }

    @Test
    func `Lengths that make no sense end nothing`() throws {
        for length in ["-1", "x", "99999999999999999999", "9223372036854775807", "1e9", " 5", "0x10"] {
            let connection = try FastCGI(backend.endpoint("signup").listener.path)
            var parameters = Backend.parameters(type: "application/json")
            parameters["CONTENT_LENGTH"] = length
            connection.sendRequest(parameters, body: Array("{}".utf8))
            let answer = try connection.answer()
            #expect([400, 413, 422].contains(answer.status), "\(length): \(answer.text)")
        }
        #expect(try backend.endpoint("signup").processes[0].isRunning)
    }

    @Test
    func `A body that is shorter than announced is no crash`() throws {
        let connection = try FastCGI(backend.endpoint("signup").listener.path)
        connection.sendRequest(
            Backend.parameters(length: 1_000, type: "application/json"), body: Array("{\"mobile\":".utf8))
        expectProblem(try connection.answer(), 400)
    }

    // MARK: Callers who misbehave

    @Test
    func `Garbage and half requests never end the process`() throws {
        let begin = FastCGI.begin
        let parameters = FastCGI.pairs(Backend.parameters(length: 20, type: "application/json"))
        let whole =
            begin + FastCGI.stream(.params, parameters) + FastCGI.stream(.input, Array("{\"mobile\":\"x\"}".utf8))
        var garbage: [[UInt8]] = [
            [], [0], [1], Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), [UInt8](repeating: 0, count: 100),
            [UInt8](repeating: 0xFF, count: 10_000), begin, begin + FastCGI.record(.params),
            FastCGI.stream(.params, parameters), FastCGI.record(.input, [1, 2, 3]),
            begin + FastCGI.record(.params, [1, 2, 3], announced: 65_535), begin + FastCGI.record(.abort),
            FastCGI.record(.begin, [0, 9, 0, 0, 0, 0, 0, 0]), FastCGI.record(.begin, [0, 2, 1, 0, 0, 0, 0, 0]),
            FastCGI.record(.begin, [1]), begin + begin + begin, begin + FastCGI.stream(.input, [1, 2, 3]),
            begin + FastCGI.stream(.params, [5, 5, 1]),
            // A length of all ones, as in CVE-2025-23016
            begin + FastCGI.stream(.params, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x41]),
            begin + FastCGI.stream(.params, [0x7F, 0xFF] + [UInt8](repeating: 0x41, count: 300)),
            begin + FastCGI.record(.end, [0, 0, 0, 0, 0, 0, 0, 0]), begin + FastCGI.record(.output, [1]),
            [9, 1, 0, 1, 0, 0, 0, 0] + begin,
        ]
        for cut in stride(from: 1, to: whole.count, by: 23) { garbage.append(Array(whole.prefix(cut))) }
        var random = Repeatable(state: 42)
        for _ in 0..<40 {
            var bytes = whole
            // Not the lengths of names and values: libfcgi of Debian 12 aborts itself at some of them (its 2.4.7 does
            // not), and nginx cannot send them.
            for place in [0, 1, 2, 3, 6, 7, 16, 17, 18, 19] where random.next() % 3 == 0 {
                bytes[place] = UInt8(truncatingIfNeeded: random.next())
            }
            garbage.append(bytes)
        }
        let process = try { try backend.endpoint("signup").processes[0] }()
        for bytes in garbage {
            let connection = try FastCGI(backend.endpoint("signup").listener.path)
            connection.send(bytes)
            connection.finishWriting()
            _ = try? connection.output(seconds: 5)
            #expect(process.isRunning, "\(bytes.prefix(60))")
        }
        #expect(try backend.call("signup", body: ["mobile": "+919876543210"]).status == 201)
    }

    @Test
    func `Who hangs up before the answer ends nothing`() throws {
        let path = try backend.endpoint("health").listener.path
        for _ in 0..<30 {
            let connection = try FastCGI(path)
            connection.sendRequest(Backend.parameters())
            connection.hangUp()
        }
        #expect(try backend.call("health").status == 200)
        #expect(try backend.endpoint("health").processes[0].isRunning)
    }

    @Test
    func `A caller who reads slowly gets all of a large answer`() throws {
        let large = try Large(backend)
        let connection = try large.request()
        var received: [UInt8] = []
        var reads = 0
        while let bytes = try connection.receive(100_000) {
            received += bytes
            reads += 1
            if reads % 20 == 0 { usleep(5_000) }
        }
        try large.expectWhole(received)
    }

    @Test
    func `Who hangs up within a large answer ends nothing`() throws {
        let large = try Large(backend)
        for _ in 0..<3 {
            let connection = try large.request()
            _ = try connection.receive(50_000)
            connection.hangUp()
        }
        let connection = try large.request()
        var received: [UInt8] = []
        while let bytes = try connection.receive(1 << 20) { received += bytes }
        try large.expectWhole(received)
        #expect(try backend.endpoint("list-messages").processes[0].isRunning)
    }

    // MARK: The end

    @Test
    func `SIGTERM within an answer of 20 MB loses not a byte`() throws {
        let large = try Large(backend)
        let process = try backend.endpoint("list-messages").processes[0]
        let connection = try large.request()
        var received: [UInt8] = []
        var signals = 0
        while let bytes = try connection.receive(200_000) {
            received += bytes
            // Again and again, while the process is blocked in writing: the socket holds far less than what is left.
            if signals < 20, received.count > 1_000_000 * signals {
                process.terminate()
                signals += 1
                usleep(2_000)
                #expect(process.isRunning)
            }
        }
        #expect(signals > 10)
        try large.expectWhole(received)
        #expect(try process.wait() == .code(0))
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func `An idle process ends at once with 0`(signal: Int32) throws {
        let least = try quickest(below: 1) {
            _ = try backend.call("get-me")
            let process = try backend.endpoint("get-me").processes[0]
            let took = try seconds {
                process.signal(signal)
                let exit = try process.wait()
                #expect(exit == .code(0))
            }
            try backend.revive("get-me")
            return took
        }
        #expect(least < 1)
    }

    @Test
    func `A process told to stop leaves what waits in the queue to the next one`() throws {
        let endpoint = try backend.endpoint("health")
        #expect(try backend.call("health").status == 200)
        endpoint.processes[0].signal(SIGSTOP)
        let waiting = try (0..<5).map { _ in
            let connection = try FastCGI(endpoint.listener.path)
            connection.sendRequest(Backend.parameters())
            return connection
        }
        endpoint.processes[0].kill()
        _ = try endpoint.processes[0].wait()
        try backend.revive("health")
        for connection in waiting { #expect(try connection.answer().status == 200) }
    }

    @Test
    func `The connection to Postgres is closed when it is idle for long`() throws {
        let backend = try Backend(["IDLE_SECONDS": "1"])
        let person = try backend.signIn()
        #expect(try backend.call("get-me", token: person.token).status == 200)
        let database = backend.database.connect()
        try eventually("the end of the connection") {
            try database.row(
                Int.self,
                """
                select count(*) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
                """) == 0
        }
        #expect(try backend.call("get-me", token: person.token).status == 200)
    }

    @Test
    func `A process that nothing has come for lets go of its memory, and of no connection that comes then`() throws {
        let backend = try Backend(["IDLE_SECONDS": "1", "DOZE": "\(Executable.folder)/doze"])
        let person = try backend.signIn()
        for name in ["get-me", "stream-reply"] {
            #expect(try backend.call(name, token: person.token).status != 503)
            let process = try backend.endpoint(name).processes[0]
            for _ in 0..<3 {
                try eventually("\(name) to doze") { try program(process) == "doze" }
                let memory = try String(contentsOfFile: "/proc/\(process.pid)/smaps_rollup", encoding: .utf8)
                // The rest is doze's own file, which all who doze share, and of which one who is alone has 640 kB.
                let kilobytes = try #require(memory.firstMatch(of: /Private_Dirty: +(\d+) kB/)).output.1
                #expect(Int(kilobytes) ?? .max < 200, "\(name) holds \(kilobytes) kB")
                // It may doze again before this thread looks.
                try eventually("\(name) to be awake") {
                    #expect(try backend.call(name, token: person.token).status != 503)
                    return try program(process) == name
                }
            }
            process.terminate()
            // Unless it dozes by now.
            #expect(try [.code(0), .signal(SIGTERM)].contains(process.wait()))
        }
        try backend.revive("get-me")
        let process = try backend.endpoint("get-me").processes[0]
        try eventually("it to doze again") { try program(process) == "doze" }
        process.terminate()
        #expect(try process.wait() == .signal(SIGTERM))
    }

    @Test
    func `One that was held up itself does not doze for that, and hears what it was told meanwhile`() throws {
        let backend = try Backend(["DOZE": "\(Executable.folder)/doze"])
        let person = try backend.signIn()
        for name in ["get-me", "stream-reply"] {
            #expect(try backend.call(name, token: person.token).status != 503)
            let process = try backend.endpoint(name).processes[0]
            process.signal(SIGSTOP)
            try eventually("its stop") {
                try String(contentsOfFile: "/proc/\(process.pid)/stat", encoding: .utf8).contains(") T ")
            }
            process.terminate()
            process.signal(SIGCONT)
            #expect(try process.wait() == .code(0), "\(name)")
        }
    }

    @Test
    func `One that holds a request does not doze`() throws {
        let backend = try Backend(["IDLE_SECONDS": "1", "DOZE": "\(Executable.folder)/doze"])
        let person = try backend.signIn()
        let room = try backend.room(person)
        let reply = try backend.post("Hello", room, person)
        let answer = try backend.call(
            "get-message", room: room, message: reply, token: person.token, headers: ["Prefer": "wait=3"])
        #expect(answer.status == 200 && answer.json["status"] == "queued")
    }

    /// What a process is now.
    private func program(_ process: Executable) throws -> String {
        try String(contentsOfFile: "/proc/\(process.pid)/comm", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    // MARK: CGI

    @Test
    func `Where descriptor 0 is no socket it answers as CGI`() throws {
        let answer = try cgi("health")
        #expect(answer.status == 200)
        #expect(answer.json == ["status": "ok"])
        #expect(answer.header("X-Request-Id")?.isEmpty == false)
    }

    @Test
    func `CGI reads its body from standard input, and no more than was announced`() throws {
        let body = Array(#"{"mobile":"+919876543210"}"#.utf8)
        let answer = try cgi(
            "signup", ["CONTENT_TYPE": "application/json", "CONTENT_LENGTH": String(body.count)],
            input: body + Array("and what is of the next request".utf8))
        #expect(answer.status == 201)
        #expect(answer.json["user"]["mobile"] == "+919876543210")
        expectProblem(try cgi("signup", ["CONTENT_TYPE": "application/json"], input: body), 400)
    }

    @Test
    func `CGI waits too`() throws {
        let person = try backend.signIn()
        let room = try backend.room(person)
        let reply = try backend.post("Hello", room, person)
        let variables = [
            "CHATROOM_ID": room, "MESSAGE_ID": reply, "HTTP_AUTHORIZATION": "Bearer \(person.token)",
            "HTTP_PREFER": "wait=20",
        ]
        let process = try start("get-message", variables)
        let database = backend.database.connect()
        try eventually("its question") {
            try database.row(
                Int.self,
                """
                select count(*) from pg_stat_activity
                where datname = current_database() and query like '%api.get_message%' and pid <> pg_backend_pid()
                """) == 1
        }
        #expect(process.isRunning)
        try database.execute("update messages set status = 'done', content = 'Hi' where id = \(reply)::uuid")
        #expect(try process.wait() == .code(0))
        #expect(try Answer(cgi: Array(process.output.utf8)).json["content"] == "Hi")
    }

    private func start(_ name: String, _ variables: [String: String], input: [UInt8] = []) throws -> Executable {
        let path = "\(backend.folder.path)/\(UUID().uuidString)"
        try Data(input).write(to: URL(fileURLWithPath: path))
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        let environment = backend.settings.merging(["REQUEST_METHOD": "GET", "QUERY_STRING": ""]) { $1 }
        return try Executable(
            name, environment: environment.merging(variables) { $1 }, input: file.fileDescriptor,
            folder: backend.folder.path)
    }

    private func cgi(_ name: String, _ variables: [String: String] = [:], input: [UInt8] = []) throws -> Answer {
        let process = try start(name, variables, input: input)
        #expect(try process.wait() == .code(0))
        return try Answer(cgi: Array(process.output.utf8))
    }
}

/// A room with a page of 20 MB.
private struct Large {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init(_ backend: Backend) throws {
        self.backend = backend
        person = try backend.signIn()
        room = try backend.room(person)
        try backend.database.connect().execute(
            """
            insert into messages (user_id, chatroom_id, id, role, content, status, created_at)
            select \(person.id)::uuid, \(room)::uuid, uuidv7(now() + make_interval(secs => n)), 'user',
                repeat(chr(64 + n % 26), 200000) || n, 'done', now()
            from generate_series(1, 100) n
            """)
    }

    func request() throws -> FastCGI {
        let connection = try FastCGI(backend.endpoint("list-messages").listener.path)
        connection.sendRequest(Backend.parameters(room: room, token: person.token, query: "limit=100"))
        return connection
    }

    func expectWhole(_ bytes: [UInt8]) throws {
        let answer = try Answer(cgi: try #require(FastCGI.output(in: bytes)))
        #expect(answer.status == 200)
        #expect(answer.body.count > 20_000_000)
        #expect(answer.header("Content-Length") == String(answer.body.count))
        let contents = answer.json["messages"].list.compactMap { $0["content"].text }
        #expect(contents.count == 100)
        #expect(contents.enumerated().allSatisfy { $1.hasSuffix("\(100 - $0)") && $1.utf8.count > 200_000 })
    }
}
