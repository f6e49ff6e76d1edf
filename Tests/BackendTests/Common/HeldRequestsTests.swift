import Common
import TestSupport
import Testing

/// Requests that wait are held by the loop, in one process.
@Suite(.threads)
struct HeldRequestsTests {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person)
    }

    @Test
    func `One process holds many who wait, and answers others meanwhile`() throws {
        let reply = try backend.post("Hello", room, person)
        let waiting = try (0..<100).map { _ in try held(reply, seconds: 30) }
        let least = try quickest(below: 5) {
            try seconds {
                let answer = try get(reply)
                #expect(answer.json["status"] == "queued")
            }
        }
        #expect(least < 5)
        let database = backend.database.connect()
        try database.execute("update messages set status = 'done', content = 'Hi' where id = \(reply)::uuid")
        // All of them read at once, as nginx does: the process waits for each to hang up.
        let contents = try concurrently(100) { try waiting[$0].answer().json["content"] }
        #expect(contents.allSatisfy { $0 == "Hi" })
        #expect(try backend.endpoint("get-message").processes[0].isRunning)
    }

    @Test
    func `Of one user 20 are held, and the rest are answered at once`() throws {
        let backend = try Backend(["LIMITS": "on"], database: backend.database)
        let reply = try backend.post("Hello", room, person)
        let parameters = Backend.parameters(
            room: room, message: reply, token: person.token, headers: ["Prefer": "wait=30"])
        func ask(_ parameters: [String: String]) throws -> FastCGI {
            let connection = try FastCGI(backend.endpoint("get-message").listener.path)
            connection.sendRequest(parameters)
            return connection
        }
        let waiting = try (0..<20).map { _ in try ask(parameters) }
        for _ in 0..<5 {
            let took = try seconds {
                let answer = try ask(parameters).answer()
                #expect(answer.json["status"] == "queued")
            }
            #expect(took < 20)
        }
        // They are of one user; another's is held.
        let other = try backend.signIn()
        let theirRoom = try backend.room(other)
        let theirs = try ask(
            Backend.parameters(
                room: theirRoom, message: backend.post("Hello", theirRoom, other), token: other.token,
                headers: ["Prefer": "wait=30"]))
        #expect(try backend.call("get-message", room: room, message: reply, token: person.token).status == 200)
        #expect(waiting.allSatisfy { !$0.hasAnswer } && !theirs.hasAnswer)
    }

    @Test
    func `Who hangs up while waiting harms nobody`() throws {
        let reply = try backend.post("Hello", room, person)
        let gone = try (0..<10).map { _ in try held(reply, seconds: 30) }
        let stays = try held(reply, seconds: 30)
        for connection in gone { connection.hangUp() }
        #expect(try get(reply).status == 200)
        try backend.database.connect().execute("update messages set status = 'done' where id = \(reply)::uuid")
        #expect(try stays.answer().json["status"] == "done")
        #expect(try backend.endpoint("get-message").processes[0].isRunning)
    }

    @Test
    func `Told to stop, a process answers those who wait and ends`() throws {
        let reply = try backend.post("Hello", room, person)
        let waiting = try held(reply, seconds: 30)
        #expect(try get(reply).status == 200)  // so the one before it has been taken
        let process = try backend.endpoint("get-message").processes[0]
        process.terminate()
        #expect(try waiting.answer().json["status"] == "queued")
        #expect(try process.wait() == .code(0))
    }

    @Test
    func `Who waits is told when Postgres is gone, or gets the reply when it is back`() throws {
        let postgres = try Postgres(isDurable: true)
        try postgres.migrateTemplate()
        let backend = try Backend(database: postgres.createDatabase())
        let person = try backend.signIn()
        let room = try backend.room(person)
        let reply = try backend.post("Hello", room, person)
        let parameters = Backend.parameters(
            room: room, message: reply, token: person.token, headers: ["Prefer": "wait=30"])
        let waiting = try FastCGI(backend.endpoint("get-message").listener.path)
        waiting.sendRequest(parameters)
        #expect(try backend.call("get-message", room: room, message: reply, token: person.token).status == 200)
        try postgres.crash()
        let answer = try waiting.answer()
        #expect([200, 503].contains(answer.status))
        if answer.status == 503 { expectProblem(answer, 503, "unavailable") }
        try postgres.start()
        #expect(try backend.call("get-message", room: room, message: reply, token: person.token).status == 200)
    }

    @Test
    func `Those beyond what a process may hold are answered at once`() throws {
        let conversation = try Conversation(["HELD_REQUESTS": "3"])
        let reply = try conversation.send("Hello").reply
        let headers = ["Prefer": "wait=30"]
        let held = try (0..<3).map { _ in try conversation.begun("get-message", reply, headers: headers) }
        for _ in 0..<3 {
            let least = try quickest(below: 5) {
                try seconds {
                    let answer = try conversation.call("get-message", reply, headers: headers)
                    #expect(answer.status == 200 && answer.json["status"] == "queued" && answer.json["position"] == 1)
                }
            }
            #expect(least < 5)
        }
        // A place is free when somebody has gone.
        held[0].hangUp()
        var next = held[0]
        try eventually("a free place") {
            next = try conversation.begun("get-message", reply, headers: headers)
            // By the time this is answered, the one before it has been too, or is held.
            #expect(try conversation.call("get-message", reply, headers: headers).json["status"] == "queued")
            return (try? next.receive(seconds: 0)) == nil
        }
        try conversation.finish()
        for connection in [held[1], held[2], next] { #expect(try connection.answer().json["status"] == "done") }
    }

    @Test
    func `A process holds no more than its descriptors allow, and serves on`() throws {
        let conversation = try Conversation()
        let reply = try conversation.send("Hello").reply
        let listener = try Listener(path: "\(conversation.backend.folder.path)/few")
        let process = try Executable(
            "/usr/bin/prlimit", ["--nofile=100", "\(Executable.folder)/get-message"],
            environment: conversation.backend.settings, input: listener.descriptor,
            folder: conversation.backend.folder.path)
        let parameters = { (wait: Int) in
            Backend.parameters(
                room: conversation.room, message: reply, token: conversation.person.token,
                headers: ["Prefer": "wait=\(wait)"])
        }
        let waiting = try (0..<150).map { _ in
            let connection = try FastCGI(listener.path)
            connection.sendRequest(parameters(30))
            return connection
        }
        let last = try FastCGI(listener.path)
        last.sendRequest(parameters(0))
        let answers = try concurrently(151) { index in
            if index < 150 { return try waiting[index].answer().json["status"] }
            let status = try last.answer().json["status"]
            // All the others before it have been taken by now.
            try conversation.finish()
            return status
        }
        #expect(answers[150] == "queued")
        let held = answers.filter { $0 == "done" }.count
        #expect(held == 36 && answers.filter { $0 == "queued" }.count == 115)
        #expect(process.isRunning)
    }

    /// A request that waits; it has been sent when this returns.
    private func held(_ reply: String, seconds: Int) throws -> FastCGI {
        let connection = try FastCGI(backend.endpoint("get-message").listener.path)
        connection.sendRequest(
            Backend.parameters(
                room: room, message: reply, token: person.token, headers: ["Prefer": "wait=\(seconds)"]))
        return connection
    }

    private func get(_ reply: String) throws -> Answer {
        try backend.call("get-message", room: room, message: reply, token: person.token)
    }
}
