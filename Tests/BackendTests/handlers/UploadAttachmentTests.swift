import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct UploadAttachmentTests {
    let backend: Backend
    let person: Backend.Person
    let database: Database

    init() throws {
        backend = try Backend([
            "PLAN_BASIC_ATTACHMENT_MB": "1", "PLAN_PRO_ATTACHMENT_MB": "14", "PLAN_BASIC_STORAGE_MB": "2",
        ])
        person = try backend.signIn()
        database = backend.database.connect()
    }

    @Test
    func `A picture is stored, and comes back byte for byte`() throws {
        let answer = try upload(Files.png, type: "image/png", query: "name=one%20pixel.png")
        #expect(answer.status == 201)
        #expect(answer.json.names == ["id", "media_type", "bytes", "name", "created_at"])
        #expect(answer.json["media_type"] == "image/png" && answer.json["name"] == "one pixel.png")
        #expect(answer.json["bytes"].number == Double(Files.png.count))
        let id = try #require(answer.json["id"].text)
        #expect(try backend.attachment(id, person).body == Files.png)
    }

    @Test(arguments: Files.all.indices)
    func `What a file is shows in its bytes, whether it is called so or nothing is said`(index: Int) throws {
        let file = Files.all[index]
        for type in ["", file.type, "\(file.type); x=y", file.type.uppercased(), "application/octet-stream"] {
            let answer = try upload(file.bytes, type: type)
            #expect(answer.status == 201, "\(type): \(answer.text)")
            #expect(answer.json["media_type"].text == file.type && answer.json["name"] == .null)
        }
    }

    @Test
    func `A file that is called something else is refused`() throws {
        for file in Files.all {
            for type in ["image/png", "image/jpeg", "application/pdf", "text/html", "image/svg+xml", "image", "x"]
            where type != file.type {
                expectProblem(try upload(file.bytes, type: type), 415, "unsupported_media_type", "\(file.type) \(type)")
            }
        }
        // The two of one family are told apart by few.
        #expect(try upload(Files.heic, type: "image/heif").json["media_type"] == "image/heic")
        #expect(try rows() == 1)
    }

    @Test
    func `A picture that Content-Type calls another says what it is and what was said`() throws {
        for (file, type) in [("image/jpeg", "image/png"), ("image/webp", "image/jpeg"), ("image/png", "image/heic")] {
            let bytes = try #require(Files.all.first { $0.type == file }).bytes
            let answer = try upload(bytes, type: type)
            expectProblem(answer, 415, "unsupported_media_type")
            let detail = answer.json["detail"].text ?? ""
            #expect(
                detail.hasPrefix("The bytes are \(file), but Content-Type says \(type). Send Content-Type: \(file)"))
        }
        let detail = try upload(Files.png, type: "<b>").json["detail"].text ?? ""
        #expect(detail.hasPrefix("The bytes are image/png, but Content-Type says something else."))
        #expect(
            try upload(Array("GIF89a".utf8), type: "image/gif").json["detail"].text?.hasSuffix("These bytes are GIF.")
                == true)
    }

    @Test
    func `A PDF may have something before its header and behind its end`() throws {
        let trailing = [[0x0D, 0x0A], [UInt8](repeating: 0, count: 1_100), [UInt8](repeating: 0x20, count: 250_000)]
        var files = trailing.map { Files.pdf + $0 }
        for before in ["\u{FEFF}", "\0", "\r\n\r\n", String(repeating: " ", count: 1_019)] {
            files.append(Array(before.utf8) + Files.pdf)
        }
        // The mark of the end where two pieces meet.
        for count in 98_296...98_304 {
            let filling = [UInt8](repeating: 0x20, count: count - Files.pdf.count)
            files.append(Files.pdf.dropLast(6) + filling + "%%EOF\n".utf8)
        }
        files.append(Files.linearizedPDF)
        for file in files {
            let answer = try upload(file, type: "application/pdf")
            #expect(
                answer.status == 201 && answer.json["media_type"] == "application/pdf", "\(file.count) \(answer.text)")
        }
        // What is before the header could be taken for something else: it is only ever saved.
        let id = try #require(try upload(Array("alert(1)//".utf8) + Files.pdf, type: "").json["id"].text)
        let answer = try backend.attachment(id, person)
        #expect(
            answer.header("Content-Type") == "application/pdf" && answer.header("X-Content-Type-Options") == "nosniff")
        #expect(answer.header("Content-Disposition")?.hasPrefix("attachment") == true)
    }

    @Test
    func `HEIC and HEIF are told by all of their brands`() throws {
        let files: [([UInt8], String)] =
            ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"].map { (Files.boxed($0, "mif1"), "heic") }
            + [
                (Files.boxed("mif1", "heic"), "heif"), (Files.boxed("msf1", "hevc"), "heif"),
                (Files.boxed("isom", "miaf", "heic"), "heic"), (Files.boxed("MiHB", "mif1"), "heif"),
            ]
        for (file, type) in files {
            let answer = try upload(file, type: "image/heic")
            #expect(answer.status == 201 && answer.json["media_type"].text == "image/\(type)", "\(answer.text)")
        }
    }

    @Test
    func `What Gemini does not take is refused, whatever it is called`() throws {
        let html = "<!DOCTYPE html><script>alert(1)</script>"
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>"
        let files: [[UInt8]] = [
            [], [0], Array(html.utf8), Array(svg.utf8), Array("<?xml version=\"1.0\"?>\(svg)".utf8),
            Array("GIF89a/*".utf8) + html.utf8, Array("BM".utf8) + [UInt8](repeating: 0, count: 100),
            Array("\(html)\n%PDF-1.7\n%%EOF".utf8), Array(" \n<b>".utf8) + Files.pdf, Array("MZ\0\0".utf8) + Files.pdf,
            Array("#!/bin/sh\n".utf8) + Files.pdf, Array("PK\u{3}\u{4}".utf8) + Files.pdf,
            Array("\u{7F}ELF".utf8) + Files.pdf, [UInt8](repeating: 0x20, count: 1_024) + Files.pdf,
            Array(html.utf8) + Files.png, Array(Files.png.dropFirst()), Array(Files.png.prefix(10)),
            [0x89, 0x50, 0x4E, 0x47, 0x0A] + html.utf8, Array(Files.png.prefix(8)) + html.utf8,
            Array("RIFF\u{10}\0\0\0WAVEfmt ".utf8), [0, 0, 0, 0x18] + "ftypavif".utf8 + [0, 0, 0, 0],
            Files.boxed("avif", "mif1", "miaf"), Files.boxed("mif1", "avif", "miaf"), Files.boxed("isom", "mp42"),
            // Brands behind the box's end, and in one that is longer than what is looked at.
            Files.boxed("mp42") + "mif1heic".utf8, Files.boxed("isom", padding: 80, "heic"),
            [0, 0, 0, 0x18] + "ftypmp42".utf8 + [0, 0, 0, 0], [0xFF, 0xD8], Array("PK\u{3}\u{4}".utf8),
            Array("\u{7F}ELF".utf8), Array("MZ".utf8), Array("{\"content\":\"x\"}".utf8),
            [UInt8](repeating: 0, count: 200_000),
        ]
        for file in files {
            for type in ["", "image/png", "application/pdf", "application/json"] {
                let what = String(decoding: file.prefix(40), as: UTF8.self)
                expectProblem(try upload(file, type: type), 415, "unsupported_media_type", what)
            }
        }
        #expect(try rows() == 0)
    }

    @Test
    func `A file whose end is missing, or hidden behind something else, is refused`() throws {
        let page = Array("<script>alert(1)</script>".utf8)
        let large = Files.png(of: 300_000)
        let files: [[UInt8]] = [
            Array(Files.png.dropLast()), Array(large.prefix(98_304)), Array(large.prefix(98_304 * 2)),
            Array(large.dropLast(12)), Files.png + page, Array(Files.webp.dropLast()),
            Array(Files.pdf.dropLast(7)), Array(Files.linearizedPDF.dropLast(20)),
        ]
        for file in files {
            let answer = try upload(file, type: "")
            expectProblem(answer, 422, "invalid", "\(file.count)")
            #expect(answer.json["errors"][0]["field"] == "body")
        }
        #expect(try rows() == 0)
        #expect(try upload(large, type: "").status == 201)
    }

    @Test
    func `Less than was announced is no file`() throws {
        let connection = try FastCGI(backend.endpoint("upload-attachment").listener.path)
        connection.sendRequest(
            Backend.parameters(token: person.token, length: 1_000, type: "image/jpeg"), body: Files.jpeg)
        expectProblem(try connection.answer(), 422, "invalid")
        #expect(try rows() == 0)
    }

    // MARK: Limits

    @Test
    func `A file may be as large as the plan says, and not a byte larger`() throws {
        #expect(try upload(Files.png(of: 1 << 20)).status == 201)
        let larger = Files.png(of: 1 << 20 + 1)
        let answer = try upload(larger)
        expectProblem(answer, 413, "body_too_large")
        #expect(answer.json["detail"].text?.contains("1 MB") == true)
        // Where it is not announced, it shows when it is there.
        let connection = try FastCGI(backend.endpoint("upload-attachment").listener.path)
        var parameters = Backend.parameters(token: person.token, type: "image/png")
        parameters["CONTENT_LENGTH"] = ""
        connection.sendRequest(parameters, body: larger)
        expectProblem(try connection.answer(), 413, "body_too_large")
        #expect(try rows() == 1)
        try database.execute(
            "insert into pro_grants (user_id, until) select id, 'infinity' from users on conflict do nothing")
        #expect(try upload(larger).status == 201)
    }

    @Test
    func `All files together have room up to the plan's limit, and deleting one makes some`() throws {
        let first = try #require(try upload(Files.png(of: 1 << 20)).json["id"].text)
        #expect(try upload(Files.png(of: 900_000)).status == 201)
        let answer = try upload(Files.png(of: 300_000))
        expectProblem(answer, 409, "storage_full")
        #expect(answer.json["detail"].text?.contains("2 MB") == true)
        let deleted = try backend.call("delete-attachment", token: person.token, path: ["ATTACHMENT_ID": first])
        #expect(deleted.status == 204)
        #expect(try upload(Files.png(of: 300_000)).status == 201)
        // Another's are their own affair.
        #expect(try upload(Files.png(of: 1 << 20), of: backend.signIn()).status == 201)
    }

    @Test
    func `A small file takes 8 KB of it, so that there is an end to their number`() throws {
        try database.execute(
            """
            insert into attachments (user_id, id, media_type, bytes)
            select \(person.id), gen_random_uuid(), 'image/png', 70 from generate_series(1, 255)
            """)
        #expect(try upload(Files.png).status == 201)
        expectProblem(try upload(Files.png), 409, "storage_full")
    }

    @Test
    func `Of twelve at once only as many are kept as there is room for`() throws {
        let backend = try Backend(["PLAN_BASIC_STORAGE_MB": "1"], processes: 6)
        let person = try backend.signIn()
        let file = Files.png(of: 200_000)
        let answers = try concurrently(12) { _ in
            try backend.call("upload-attachment", token: person.token, raw: file, type: "image/png")
        }
        #expect(answers.filter { $0.status == 201 }.count == 5, "\(answers.map(\.status))")
        for answer in answers where answer.status != 201 { expectProblem(answer, 409, "storage_full") }
        let kept = try backend.database.connect().row(
            Int.self, "select count(*) from attachment_pieces p join attachments a on a.id = p.attachment_id")
        #expect(kept == 15)
    }

    @Test
    func `Only so many come in a minute, and a repeat is not counted`() throws {
        let backend = try Backend(["LIMITS": "on", "RATE_ATTACHMENTS": "2"])
        let person = try backend.signIn()
        let answers = try ["one", "one", "two", "one", "three"].map { key in
            try backend.call(
                "upload-attachment", token: person.token, raw: Files.png, type: "", headers: ["Idempotency-Key": key])
        }
        #expect(answers.dropLast().allSatisfy { $0.status == 201 })
        #expect(answers[0].header("RateLimit-Policy") == "\"attachments\";q=2;w=60")
        expectProblem(answers[4], 429, "rate_limited")
    }

    @Test
    func `A name may be in any script, but not harm who sees it`() throws {
        for name in ["", "a b.png", "Ünïcödé 😀.png", "../../etc/passwd", "\"';--", String(repeating: "é", count: 255)] {
            let answer = try upload(Files.png, query: "name=\(encoded(name))")
            #expect(answer.status == 201)
            #expect(answer.json["name"].text == (name.isEmpty ? nil : name))
        }
        for name in ["a\r\nSet-Cookie: x", "\u{0}", "\u{1B}[2J", "\u{85}", String(repeating: "x", count: 256)] {
            let answer = try upload(Files.png, query: "name=\(encoded(name))")
            expectProblem(answer, 422, "invalid", name)
            #expect(answer.json["errors"][0]["field"] == "name")
        }
    }

    // MARK: Repeats

    @Test
    func `An upload that is repeated with its key is stored once`() throws {
        let file = Files.png(of: 200_000)
        let first = try upload(file, query: "name=a", key: "one")
        #expect(first.status == 201)
        let again = try upload(file, query: "name=a", key: "one")
        #expect(again.status == 201 && again.body == first.body && again.header("Idempotent-Replay") == "true")
        let other = Files.png(of: 200_000, seed: 2)
        for answer in [
            try upload(other, query: "name=a", key: "one"), try upload(file, query: "name=b", key: "one"),
            try upload(Array(file.prefix(98_304)), query: "name=a", key: "one"), try upload([1], key: "one"),
        ] { expectProblem(answer, 422, "idempotency_mismatch") }
        #expect(try rows() == 1)
        // However little room there is by now.
        try database.execute("update attachments set bytes = 2 << 20")
        expectProblem(try upload(file, query: "name=a"), 409, "storage_full")
        #expect(try upload(file, query: "name=a", key: "one").body == first.body)
        // What was refused may be sent again.
        expectProblem(try upload(other, key: "two"), 409, "storage_full")
        try database.execute("delete from attachments")
        #expect(try upload(other, key: "two").status == 201)
        #expect(try rows() == 1)
    }

    @Test
    func `Of twenty at once with one key one is stored, and all get its answer`() throws {
        let backend = try Backend(processes: 4)
        let person = try backend.signIn()
        let file = Files.png(of: 150_000)
        let answers = try concurrently(20) { _ in
            try backend.call(
                "upload-attachment", token: person.token, raw: file, type: "", headers: ["Idempotency-Key": "one"])
        }
        #expect(answers.allSatisfy { $0.status == 201 } && Set(answers.map(\.text)).count == 1)
        let count = try backend.database.connect().row(Int.self, "select count(*) from attachment_pieces")
        #expect(count == 2)
    }

    // MARK: Who may, and what it costs

    @Test
    func `Without a session nothing is read or stored`() throws {
        let file = Files.png(of: 1_000_000)
        expectProblem(try backend.call("upload-attachment", raw: file, type: "image/png"), 401, "token_missing")
        expectProblem(
            try backend.call("upload-attachment", token: "x", raw: file, type: "image/png"), 401, "token_invalid")
        try database.execute("update sessions set ended_at = now()")
        expectProblem(try upload(file), 401, "session_ended")
        #expect(try rows() == 0)
    }

    @Test
    func `14 MB go through a process that stays small, time and again`() throws {
        try database.execute(
            "insert into pro_grants (user_id, until) select id, 'infinity' from users on conflict do nothing")
        let file = Files.png(of: 14 << 20)
        _ = try upload(Files.png)
        let before = try backend.peak("upload-attachment")
        let began = now()
        for _ in 0..<4 { #expect(try upload(file).status == 201) }
        let seconds = (now() - began) / 4
        let peak = try backend.peak("upload-attachment")
        #expect(peak < before + 4_000, "\(peak) kB at its peak, \(before) kB before")
        print("upload of 14 MB: \(before) kB before, \(peak) kB at the peak, \(seconds) s each in a debug build")
    }

    @Test
    func `A process that is killed in the middle leaves nothing behind`() throws {
        let endpoint = try backend.endpoint("upload-attachment")
        let file = Files.png(of: 1 << 20)
        let connection = try FastCGI(endpoint.listener.path)
        let parameters = Backend.parameters(token: person.token, length: file.count, type: "image/png")
        connection.send(FastCGI.begin + FastCGI.stream(.params, FastCGI.pairs(parameters)))
        connection.send(FastCGI.stream(.input, Array(file.prefix(600_000)), isClosed: false))
        func transactions() throws -> Int? {
            try database.row(
                Int.self,
                """
                select count(*) from pg_stat_activity
                where datname = current_database() and state = 'idle in transaction'
                """)
        }
        try eventually("some of it to be there") { try transactions() == 1 }
        endpoint.processes[0].kill()
        try endpoint.processes[0].wait()
        try eventually("it to be taken back") { try transactions() == 0 }
        #expect(try rows() == 0)
        try backend.revive("upload-attachment")
        #expect(try upload(file).status == 201)
    }

    @Test
    func `What no message was sent with is gone after a day`() throws {
        let (old, young) = (try backend.upload(Files.png, person), try backend.upload(Files.png, person))
        let sent = try backend.upload(Files.png, person)
        let room = try backend.room(person)
        #expect(try backend.send("Look", [sent], to: room, person).status == 202)
        try database.execute(
            "update attachments set created_at = now() - interval '25 hours' where id <> \(young)::uuid")
        let worker = try backend.worker()
        try eventually("the purge") { try backend.attachment(old, person).status == 404 }
        #expect(try backend.attachment(young, person).status == 200)
        #expect(try backend.attachment(sent, person).status == 200)
        #expect(try database.row(Int.self, "select count(*) from attachment_pieces") == 2)
        withExtendedLifetime(worker) {}
    }

    // MARK: -

    private func upload(
        _ file: [UInt8], type: String = "image/png", query: String = "", key: String? = nil,
        of other: Backend.Person? = nil
    ) throws -> Answer {
        try backend.call(
            "upload-attachment", token: (other ?? person).token, raw: file, type: type, query: query,
            headers: key.map { ["Idempotency-Key": $0] } ?? [:])
    }

    /// How many files there are, whole or in pieces.
    private func rows() throws -> Int? {
        try database.row(
            Int.self,
            """
            select count(distinct id) from (
                select id from attachments union all select attachment_id from attachment_pieces
            ) all_of_them
            """)
    }

    private func encoded(_ text: String) -> String { text.utf8.map { "%" + [$0].hex }.joined() }
}
