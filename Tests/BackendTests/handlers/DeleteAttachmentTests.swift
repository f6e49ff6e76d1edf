import Common
import TestSupport
import Testing

@Suite(.threads)
struct DeleteAttachmentTests {
    let backend: Backend
    let person: Backend.Person
    let database: Database

    init() throws {
        backend = try Backend(processes: 2)
        person = try backend.signIn()
        database = backend.database.connect()
    }

    @Test
    func `It is gone, with all of its bytes`() throws {
        let (id, other) = (try backend.upload(Files.png(of: 300_000), person), try backend.upload(Files.png, person))
        let answer = try delete(id)
        #expect(answer.status == 204 && answer.body.isEmpty)
        expectProblem(try backend.attachment(id, person), 404, "not_found")
        expectProblem(try delete(id), 404, "not_found")
        #expect(try database.rows(String.self, "select distinct attachment_id from attachment_pieces") == [other])
    }

    @Test
    func `One that a message has stays with it`() throws {
        let id = try backend.upload(Files.png, person)
        let room = try backend.room(person)
        #expect(try backend.send("Look", [id], to: room, person).status == 202)
        expectProblem(try delete(id), 409, "attachment_sent")
        #expect(try backend.attachment(id, person).status == 200)
    }

    @Test
    func `Another's is not there`() throws {
        let id = try backend.upload(Files.png, person)
        expectProblem(try delete(id, backend.signIn()), 404, "not_found")
        expectProblem(try delete("00000000-0000-7000-8000-000000000000"), 404, "not_found")
        expectProblem(try delete("x"), 404, "not_found")
        expectProblem(try backend.call("delete-attachment", path: ["ATTACHMENT_ID": id]), 401, "token_missing")
        #expect(try backend.attachment(id, person).status == 200)
        try database.execute("update sessions set ended_at = now()")
        expectProblem(try delete(id), 401, "session_ended")
        #expect(try database.row(Int.self, "select count(*) from attachments") == 1)
    }

    @Test
    func `Where it is deleted and sent at once, one of the two happens`() throws {
        let (backend, room, person) = (backend, try backend.room(person), person)
        for _ in 0..<20 {
            let id = try backend.upload(Files.png, person)
            let statuses = try concurrently(2) { index in
                index == 0
                    ? try backend.call("delete-attachment", token: person.token, path: ["ATTACHMENT_ID": id]).status
                    : try backend.send("Look", [id], to: room, person).status
            }
            #expect(statuses == [204, 422] || statuses == [409, 202], "\(statuses)")
            #expect(try backend.attachment(id, person).status == (statuses[0] == 204 ? 404 : 200))
        }
    }

    private func delete(_ id: String, _ other: Backend.Person? = nil) throws -> Answer {
        try backend.call("delete-attachment", token: (other ?? person).token, path: ["ATTACHMENT_ID": id])
    }
}
