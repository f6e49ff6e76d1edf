import Common
import TestSupport
import Testing

@Suite(.threads)
struct GetMessageTests {
    let backend: Backend
    let person: Backend.Person
    let room: String

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person)
    }

    @Test
    func `A message is shown`() throws {
        let reply = try backend.post("Hello", room, person)
        let answer = try get(reply)
        #expect(answer.status == 200)
        #expect(answer.json["id"].text == reply)
        #expect(answer.json["status"] == "queued")
    }

    @Test
    func `A message of another room of the same person is not there`() throws {
        let reply = try backend.post("Hello", room, person)
        let other = try backend.room(person)
        expectProblem(try backend.call("get-message", room: other, message: reply, token: person.token), 404)
    }

    @Test
    func `Who waits for a reply gets it as soon as it is there`() throws {
        let reply = try backend.post("Hello", room, person)
        let waiting = try held(reply, seconds: 20)
        let worker = try backend.worker()
        let began = now()
        let answer = try waiting.answer()
        #expect(answer.json["status"] == "done")
        #expect(answer.json["content"].text?.contains("sandbox") == true)
        #expect(now() - began < 10)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A notification wakes who waits at once`() throws {
        let database = backend.database.connect()
        var seconds = 0.0
        for _ in 0..<6 {
            let reply = try backend.post("Hello", room, person)
            let waiting = try held(reply, seconds: 20)
            // Between these two it has begun to listen, and from then on looks by itself only every second.
            for _ in 0..<2 { #expect(try get(reply).status == 200) }
            try database.execute("update messages set status = 'done', content = 'Hi' where id = \(reply)::uuid")
            try database.execute("select pg_notify('replies', \(reply))")
            let began = now()
            #expect(try waiting.answer().json["content"] == "Hi")
            seconds += now() - began
        }
        // It would be three seconds on average if nobody was woken.
        #expect(seconds < 1)
    }

    @Test
    func `Who waits in vain gets the message as it is when the time is over`() throws {
        let reply = try backend.post("Hello", room, person)
        let began = now()
        let answer = try get(reply, headers: ["Prefer": "wait=1"])
        #expect(answer.status == 200)
        #expect(answer.json["status"] == "queued")
        #expect((0.9...5).contains(now() - began))
    }

    @Test
    func `A finished message is not waited for`() throws {
        let reply = try backend.post("Hello", room, person)
        try backend.database.connect().execute("update messages set status = 'failed' where id = \(reply)::uuid")
        let began = now()
        #expect(try get(reply, headers: ["Prefer": "wait=20"]).json["status"] == "failed")
        #expect(now() - began < 5)
    }

    @Test(arguments: ["wait", "wait=", "wait=x", "wait=-5", "wait=0", "respond-async", "", "wait=1e9", "=;,"])
    func `Preferences that make no sense are not followed`(preference: String) throws {
        let reply = try backend.post("Hello", room, person)
        let began = now()
        #expect(try get(reply, headers: ["Prefer": preference]).status == 200)
        #expect(now() - began < 5)
    }

    @Test
    func `One process holds many who wait, and answers others meanwhile`() throws {
        let reply = try backend.post("Hello", room, person)
        let waiting = try (0..<100).map { _ in try held(reply, seconds: 30) }
        let began = now()
        #expect(try get(reply).json["status"] == "queued")
        #expect(now() - began < 5)
        let database = backend.database.connect()
        try database.execute("update messages set status = 'done', content = 'Hi' where id = \(reply)::uuid")
        // All of them read at once, as nginx does: the process waits for each to hang up.
        let contents = try concurrently(100) { try waiting[$0].answer().json["content"] }
        #expect(contents.allSatisfy { $0 == "Hi" })
        #expect(try backend.endpoint("get-message").processes[0].isRunning)
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

    /// A request that waits; it has been sent when this returns.
    private func held(_ reply: String, seconds: Int) throws -> FastCGI {
        let connection = try FastCGI(backend.endpoint("get-message").listener.path)
        connection.sendRequest(
            Backend.parameters(
                room: room, message: reply, token: person.token, headers: ["Prefer": "wait=\(seconds)"]))
        return connection
    }

    private func get(_ reply: String, headers: [String: String] = [:]) throws -> Answer {
        try backend.call("get-message", room: room, message: reply, token: person.token, headers: headers)
    }
}
