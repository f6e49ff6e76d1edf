import Common
import Foundation
import TestSupport
import Testing

/// The first start of this release on a database of the release before. (bench/upgrade does it to one that is in use.)
@Suite(.threads)
struct UpgradeTests {
    @Test
    func `A database of the release before is upgraded: no row changes, and all that was begun goes on`() throws {
        let before = try OlderRelease()
        let upgrade = try Upgrade(before)
        try upgrade.keepsEveryRow()
        try upgrade.goesOnWithSessions()
        try upgrade.opensLinks()
        try upgrade.showsWhatIsStored()
        try upgrade.finds(isWhole: false)
        try upgrade.repeatsAnswers()
        try upgrade.takesCodes()
        try upgrade.keepsLimits()
        try upgrade.agreesOnUsage()
        try upgrade.doesTheOpenJobs()
    }
}

extension Upgrade {
    // MARK: What people go on with

    func goesOnWithSessions() throws {
        for person in before.people {
            let me = try backend.call("get-me", token: person.token)
            if person.number == 248 {
                expectProblem(me, 401, "session_ended")
                continue
            }
            #expect(me.status == 200 && me.json["user"]["mobile"].text == person.mobile, "\(person.number): \(me.text)")
        }
        for person in before.people where ![247, 248].contains(person.number) {
            // Who never got the answer to the last refresh sends the token before.
            let sent = person.isUnused ? person.generation - 1 : person.generation
            let answer = try refresh(person.refreshToken(sent))
            #expect(answer.status == 200, "\(person.number): \(answer.text)")
            if person.isUnused {
                #expect(answer.json["refresh_token"].text == person.refreshToken(person.generation))
            }
            let me = try backend.call("get-me", token: answer.json["token"].text)
            #expect(me.status == 200 && me.json["user"]["id"].text == person.id.text, "\(person.number): \(me.text)")
        }
        // A stolen one of long ago still ends the session.
        expectProblem(try refresh(before.people[247].refreshToken(1)), 401, "refresh_reused")
        expectProblem(try refresh(before.people[248].refreshToken(0)), 401, "session_ended")
    }

    private func refresh(_ token: String) throws -> Answer {
        try backend.call("refresh", body: ["refresh_token": .string(token)])
    }

    func opensLinks() throws {
        for person in before.people.prefix(100) {
            let answer = try backend.call("get-shared", path: ["SHARE_TOKEN": person.shareToken])
            let turns = try before.turns(of: person).filter { $0.number == 6 }
            #expect(answer.status == 200 && answer.json["title"].text == "Room 6 of \(person.number)")
            #expect(
                answer.json["messages"].list.compactMap { $0["content"].text }
                    == turns.flatMap { [$0.asked, $0.answered] },
                "\(person.number)")
        }
        // Their owners are shown them again, under either key.
        for person in before.people.prefix(4) {
            let shares = try backend.call("list-shares", token: person.token)
            #expect(shares.json["shares"][0]["url"].text?.hasSuffix("#\(person.shareToken)") == true, "\(shares.text)")
        }
    }

    func showsWhatIsStored() throws {
        // Two lists were cached: one by the release before, which says that there are no rooms.
        for cache in ["miss", "hit"] {
            let rooms = try backend.call("list-chatrooms", token: asha.token)
            #expect(rooms.status == 200 && rooms.header("X-Cache") == cache)
            let titles = rooms.json["chatrooms"].list.map { $0["title"].text ?? "" }
            #expect(titles == [0, 9, 8, 6, 5, 4, 3, 2, 1].map { "Room \($0) of 0" })
        }

        try expectMessages([0: 5], edited: true)
        try expectMessages([3: 10, 8: 10], edited: false)
        let trash = try backend.call("list-trash", token: asha.token).json["chatrooms"].list
        #expect(trash.map { $0["title"].text } == ["Room 7 of 0"])
        let restored = try backend.call("restore-chatroom", room: turn(7, 0).room.text, token: asha.token)
        #expect(restored.status == 200, "\(restored.text)")
        try expectMessages([7: 10], edited: false)

        for person in before.people where person.number % 25 == 6 {
            for turn in try before.turns(of: person).filter({ $0.turn == 3 }) {
                let answer = try backend.call(
                    "get-message", room: turn.room.text, message: turn.reply.text, token: person.token)
                #expect(answer.status == 200 && answer.json["content"].text == turn.answered, "\(answer.text)")
                #expect(answer.json["status"].text == turn.status)
            }
        }

        let file = try turn(9, 0)
        let question = try backend.call(
            "get-message", room: file.room.text, message: file.question.text, token: asha.token)
        let id = try #require(question.json["attachments"][0]["id"].text, "\(question.text)")
        let attachment = try backend.call("get-attachment", token: asha.token, path: ["ATTACHMENT_ID": id])
        #expect(attachment.status == 200 && attachment.text == String(repeating: "line 0\n", count: 20_000))
        let export = try backend.call("export-me", token: asha.token)
        #expect(export.status == 200)
        for turn in turns { #expect(export.text.contains(turn.asked)) }
    }

    /// Rooms show so many turns of before; one also the question that was edited, and its reply to come.
    private func expectMessages(_ rooms: [Int: Int], edited: Bool) throws {
        for (room, count) in rooms {
            let shown = try backend.call(
                "list-messages", room: turn(room, 0).room.text, token: asha.token, query: "limit=100")
            let told = try (0..<count).map { try turn(room, $0) }.flatMap { [$0.asked, $0.answered] }
            #expect(
                shown.json["messages"].list.reversed().compactMap { $0["content"].text }
                    == told + (edited ? ["Asked in other words", ""] : []), "room \(room): \(shown.text)")
        }
    }

    /// A sentence is found wherever it was said. One room's messages are not indexed before the worker comes to them.
    func finds(isWhole: Bool) throws {
        for sentence in try [turn(5, 4).asked, turn(8, 2).answered] {
            let said = turns.filter { isWhole || $0.number != 5 }
                .flatMap { [($0.asked, $0.question.text), ($0.answered, $0.reply.text)] }
                .filter { $0.0 == sentence }.map { $0.1 }
            let query = try #require("\"\(sentence)\"".addingPercentEncoding(withAllowedCharacters: .alphanumerics))
            var found: [String] = []
            func search() throws {
                let answer = try backend.call("search-messages", token: asha.token, query: "limit=100&q=\(query)")
                #expect(answer.status == 200, "\(answer.text)")
                found = answer.json["results"].list.compactMap { $0["message_id"].text }
            }
            try search()
            if isWhole {
                try eventually("the index", within: 30) {
                    try search()
                    return found.count == said.count
                }
            }
            #expect(Set(found) == Set(said))
        }
    }

    // MARK: Requests of before

    func repeatsAnswers() throws {
        let turn = try turn(8, 9)
        let counts: SQL = """
            select (select count(*) from messages) + (select count(*) from jobs) + (select count(*) from chatrooms)
            """
        let rows = try database.row(Int.self, counts)
        func send(_ endpoint: String, _ key: String, message: String? = nil, _ body: JSONValue?) throws -> Answer {
            let answer = try backend.call(
                endpoint, room: turn.room.text, message: message, token: asha.token, body: body,
                headers: ["Idempotency-Key": key])
            #expect(answer.header("Idempotent-Replay") == "true", "\(answer.status) \(answer.text)")
            return answer
        }
        let sent = try send("send-message", "sent", ["content": .string(turn.asked)])
        #expect(sent.status == 202 && sent.json["reply"]["id"].text == turn.reply.text)
        #expect(sent.json["message"]["id"].text == turn.question.text)
        let again = try send("regenerate-reply", "again", message: turn.reply.text, nil)
        #expect(again.status == 202 && again.json["message"]["content"].text == turn.asked)
        #expect(again.json["reply"]["id"].text == turn.reply.text && again.json["reply"]["siblings"]["count"] == 2)
        let room = try send("create-chatroom", "room", ["title": "Room 8"])
        #expect(room.status == 201 && room.json == ["id": .string(turn.room.text), "title": "Room 8"])
        expectProblem(
            try backend.call(
                "send-message", room: turn.room.text, token: asha.token, body: ["content": "Another"],
                headers: ["Idempotency-Key": "sent"]), 422, "idempotency_mismatch")
        #expect(try database.row(Int.self, counts) == rows)
    }

    func takesCodes() throws {
        func verify(_ code: String) throws -> Answer {
            try backend.call("verify-otp", body: ["mobile": .string(asha.mobile), "otp": .string(code)])
        }
        expectProblem(try verify("654321"), 401, "otp_superseded")
        let answer = try verify("123456")
        #expect(answer.status == 200 && answer.json["user"]["id"].text == asha.id.text, "\(answer.text)")
        expectProblem(try verify("123456"), 401, "otp_invalid")
        let reset = try backend.call(
            "reset-password",
            body: [
                "mobile": .string(before.people[1].mobile), "otp": "222222", "new_password": "correct horse battery",
            ])
        #expect(reset.status == 204, "\(reset.text)")
    }

    /// What limits the number of a deleted account goes on.
    func keepsLimits() throws {
        let (forgetful, busy) = (JSONValue.string(Upgrade.forgetful), JSONValue.string(Upgrade.busy))
        #expect(try backend.call("signup", body: ["mobile": forgetful]).status == 201)
        expectProblem(try backend.call("send-otp", body: ["mobile": forgetful]), 429, "otp_too_soon")
        let answer = try backend.call("verify-otp", body: ["mobile": busy, "otp": "333333"])
        #expect(answer.status == 200, "\(answer.text)")
        let usage = try backend.call("get-usage", token: answer.json["token"].text)
        #expect(usage.json["daily"]["used"] == 3, "\(usage.text)")
    }

    /// Each day's counter equals its receipts, and people are told so.
    func agreesOnUsage() throws {
        let differing = try database.rows(
            String.self,
            """
            select concat_ws(' ', l.user_id, l.day, l.sum, used_in_day(l.user_id, l.day))
            from (select user_id, day, sum(amount) from ledger group by user_id, day) l
            where l.sum <> used_in_day(l.user_id, l.day)
            """)
        #expect(differing == [])
        // A day may end between the two: what is of the one or of the other is right.
        func told() throws -> Int? {
            try database.row(
                Int.self,
                """
                select coalesce(sum(amount), 0) from ledger
                where user_id = \(asha.id)::uuid and day = (now() at time zone 'Asia/Kolkata')::date
                """)
        }
        let early = try told()
        let usage = try backend.call("get-usage", token: asha.token).json
        let late = try told()
        #expect([early, late].contains(usage["daily"]["used"].number.map { Int($0) }))
        let ledger = try backend.call("list-ledger", token: asha.token, query: "limit=100")
        #expect(ledger.status == 200 && ledger.json["entries"].list.count == 100, "\(ledger.text.prefix(300))")
    }

    // MARK: Jobs

    /// A worker does all that was queued, waited or had lost its worker: replies, titles, summaries, codes, and what Stripe is asked.
    func doesTheOpenJobs() throws {
        let kinds = try database.rows(String.self, "select distinct concat_ws(' ', kind, state) from jobs")
        #expect(kinds.count == 15, "\(kinds)")
        let worker = try backend.worker()
        try eventually("the end of all jobs", within: 60) {
            try database.row(Int.self, "select count(*) from jobs") == 0
        }

        struct Open: Decodable {
            let id: ID
            let begun: String
        }
        let open = try before.database.rows(Open.self, "select reply as id, begun from under_way order by reply")
        let replies = try database.rows(
            String.self,
            """
            select content from messages where id = any(\(open.map(\.id))::uuid[]) and status = 'done' order by id
            """)
        #expect(open.count == 300 && replies.count == open.count)
        for (reply, one) in zip(replies, open) {
            #expect(reply.hasPrefix(one.begun) && reply.utf8.count > one.begun.utf8.count)
        }

        let ids = [10, 11, 12].map { before.people[$0].id }
        #expect(
            try database.row(
                Int.self,
                "select count(*) from chatrooms where user_id = any(\(ids)::uuid[]) and coalesce(title, '') = ''") == 0)
        #expect(
            try database.row(Int.self, "select count(*) from summaries where user_id = any(\(ids)::uuid[])") == 3)

        let messages = try sms.http("GET", "/sandbox/messages").list
        for one in OlderRelease.sealed {
            let texts = messages.filter { $0["to"].text == one.mobile }.map { $0["text"].text ?? "" }
            #expect(texts.count == 1 && texts[0].hasPrefix(one.code), "\(one.mobile): \(texts)")
        }
        for customer in customers {
            let status = try backend.call("subscription-status", token: customer.person.token).json
            #expect(status["tier"] == "pro", "\(customer.state): \(status)")
        }
        try agreesOnUsage()
        try finds(isWhole: true)
        withExtendedLifetime(worker) {}
    }
}
