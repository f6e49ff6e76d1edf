import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct GetAttachmentTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend(["READER_PATIENCE_SECONDS": "600"])
        person = try backend.signIn()
    }

    @Test(arguments: Files.all.indices)
    func `Each file comes back as what it is, and can do nothing where it is shown`(index: Int) throws {
        let file = Files.all[index]
        let answer = try backend.attachment(backend.upload(file.bytes, person), person)
        #expect(answer.status == 200 && answer.body == file.bytes)
        #expect(answer.header("Content-Type") == file.type)
        #expect(answer.header("Content-Length") == String(file.bytes.count))
        #expect(answer.header("X-Content-Type-Options") == "nosniff")
        #expect(answer.header("Content-Security-Policy") == "default-src 'none'; sandbox")
        #expect(answer.header("Cache-Control") == "private, no-cache")
        let shown = file.type.hasPrefix("image/") ? "inline" : "attachment"
        #expect(answer.header("Content-Disposition") == "\(shown); filename*=UTF-8''attachment")
    }

    @Test
    func `Who has it is told so, as long as it is there`() throws {
        let id = try backend.upload(Files.png, person)
        let etag = try #require(try backend.attachment(id, person).header("ETag"))
        let again = try backend.attachment(id, person, headers: ["If-None-Match": etag])
        #expect(again.status == 304 && again.body.isEmpty && again.header("ETag") == etag)
        #expect(try backend.attachment(id, person, headers: ["If-None-Match": "\"other\""]).status == 200)
        _ = try backend.call("delete-attachment", token: person.token, path: ["ATTACHMENT_ID": id])
        expectProblem(try backend.attachment(id, person, headers: ["If-None-Match": etag]), 404, "not_found")
    }

    @Test
    func `A name of any kind stays in its header`() throws {
        let id = try backend.upload(Files.pdf, person, name: "r%C3%A9sum%C3%A9%22%3B%20x%3Dy%F0%9F%98%80.pdf")
        #expect(
            try backend.attachment(id, person).header("Content-Disposition")
                == "attachment; filename*=UTF-8''r%C3%A9sum%C3%A9%22%3B%20x%3Dy%F0%9F%98%80.pdf")
    }

    @Test
    func `Nobody but its owner sees it`() throws {
        let id = try backend.upload(Files.png, person)
        let stranger = try backend.signIn()
        let theirs = try backend.attachment(id, stranger)
        expectProblem(theirs, 404, "not_found")
        let nowhere = try backend.attachment("00000000-0000-7000-8000-000000000000", stranger)
        #expect(theirs.json["detail"] == nowhere.json["detail"])
        expectProblem(try backend.attachment(id, stranger, headers: ["If-None-Match": "\"\(id)\""]), 404)
        expectProblem(try backend.call("get-attachment", path: ["ATTACHMENT_ID": id]), 401, "token_missing")
        for wrong in ["", "x", String(id.dropLast()), "' or 1=1", String(repeating: "a", count: 36)] {
            expectProblem(try backend.attachment(wrong, person), 404, "not_found", wrong)
        }
        try backend.database.connect().execute("update sessions set ended_at = now()")
        expectProblem(try backend.attachment(id, person), 401, "session_ended")
    }

    @Test
    func `While its room is in the trash, it is not there`() throws {
        let (id, room) = (try backend.upload(Files.png, person), try backend.room(person))
        _ = try backend.send("Look", [id], to: room, person)
        #expect(try backend.call("delete-chatroom", room: room, token: person.token).status == 204)
        expectProblem(try backend.attachment(id, person), 404, "not_found")
        expectProblem(
            try backend.call("delete-attachment", token: person.token, path: ["ATTACHMENT_ID": id]), 404, "not_found")
        #expect(try backend.call("restore-chatroom", room: room, token: person.token, body: [:]).status == 200)
        #expect(try backend.attachment(id, person).body == Files.png)
        #expect(try backend.call("delete-chatroom", room: room, token: person.token).status == 204)
        #expect(try backend.call("purge-chatroom", room: room, token: person.token).status == 204)
        #expect(try backend.database.connect().row(Int.self, "select count(*) from attachment_pieces") == 0)
    }

    @Test
    func `14 MB come back whole, through a process that stays small`() throws {
        try backend.database.connect().execute(
            "insert into pro_grants (user_id, until) select id, 'infinity' from users on conflict do nothing")
        let file = Files.png(of: 14 << 20, seed: 7)
        let (id, small) = (try backend.upload(file, person), try backend.upload(Files.png, person))
        _ = try backend.attachment(small, person)
        let before = try backend.peak("get-attachment")
        let began = now()
        for _ in 0..<3 { #expect(try backend.attachment(id, person).body == file) }
        let seconds = (now() - began) / 3
        let peak = try backend.peak("get-attachment")
        #expect(peak < before + 4_000, "\(peak) kB at its peak, \(before) kB before")
        print("download of 14 MB: \(before) kB before, \(peak) kB at the peak, \(seconds) s each in a debug build")
    }

    @Test
    func `One that is deleted while it is read ends as what it is, cut short`() throws {
        let database = backend.database.connect()
        try database.execute(
            "insert into pro_grants (user_id, until) select id, 'infinity' from users on conflict do nothing")
        let id = try backend.upload(Files.png(of: 14 << 20), person)
        let connection = try FastCGI(backend.endpoint("get-attachment").listener.path)
        connection.sendRequest(Backend.parameters(token: person.token).merging(["ATTACHMENT_ID": id]) { $1 })
        var received = try #require(try connection.receive())
        try database.execute("delete from attachments")
        while let bytes = try connection.receive(1 << 20) { received += bytes }
        #expect(FastCGI.output(in: received) == nil)
        #expect(try backend.endpoint("get-attachment").processes[0].isRunning)
    }
}
