import Common
import Foundation
import TestSupport
import Testing

@Suite(.threads)
struct SearchMessagesTests {
    let backend: Backend
    let person: Backend.Person
    let room: String
    let database: Database

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
        room = try backend.room(person, ["title": "A room"])
        database = backend.database.connect()
    }

    @Test
    func `A message and its reply are found a moment after the reply is finished`() throws {
        let worker = try backend.worker()
        var (reply, count) = ("", 0)
        let least = try quickest(below: 3) {
            reply = try backend.post("[sandbox:say] The ferry to Lisbon sails at nine.", room, person)
            _ = try backend.reply(reply, room, person)
            count += 2
            return try seconds { try eventually("the message") { try search("ferry").count == count } }
        }
        #expect(least < 3)
        let answer = try get("ferry")
        #expect(answer.status == 200 && answer.json.names == ["results", "next_cursor"])
        let results = answer.json["results"].list
        for result in results {
            #expect(result.names == ["chatroom_id", "message_id", "title", "snippet", "created_at"])
            #expect(result["chatroom_id"].text == room && result["title"] == "A room")
            let message = try backend.call(
                "get-message", room: room, message: result["message_id"].text, token: person.token)
            #expect(message.json["created_at"] == result["created_at"])
            #expect(result["snippet"].text?.contains("The <mark>ferry</mark> to Lisbon") == true)
        }
        #expect(results.contains { $0["message_id"].text == reply })
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A room is found by its title at once, and by a new one`() throws {
        let other = try backend.room(person, ["title": "Travel <to> Lisbon"])
        let result = try #require(try search("lisbon").first)
        #expect(result["chatroom_id"].text == other && result["message_id"] == .null)
        #expect(result["title"] == "Travel <to> Lisbon")
        #expect(result["snippet"] == "Travel &lt;to&gt; <mark>Lisbon</mark>")
        _ = try backend.call("update-chatroom", room: other, token: person.token, body: ["title": "Porto"])
        #expect(try search("lisbon") == [] && search("porto").count == 1)
        _ = try backend.call("update-chatroom", room: other, token: person.token, body: ["title": .null])
        #expect(try search("porto") == [])
    }

    // MARK: What is asked

    @Test(
        arguments: [
            ("hello", ["Hello, world", "Hello there"]), ("HELLO WORLD", ["Hello, world"]),
            ("world hello", ["Hello, world"]),
            ("hel", ["Hello, world", "Hello there"]), ("\"hel\"", []), ("\"hello world\"", ["Hello, world"]),
            ("\"world hello\"", []), ("hello -world", ["Hello there"]), ("-world hello", ["Hello there"]),
            ("world or there", ["Hello, world", "Hello there"]), ("cafe", ["Un café, naïf"]),
            ("naïf CAFÉ", ["Un café, naïf"]),
            ("e", []), ("50", ["50% off, a-b c++"]), ("a-b", ["50% off, a-b c++"]), ("c++", ["50% off, a-b c++"]),
            ("\"unbalanced hello", []), ("hello:* & !world", ["Hello, world"]), ("'hello' | world", ["Hello, world"]),
            ("straße", ["Straße"]), ("привет", ["Привет, мир!"]), ("мир", ["Привет, мир!"]),
            ("مرحبا", ["مرحبا بالعالم"]),
            ("नमस्ते", ["नमस्ते दुनिया"]), ("天气", ["今天天气很好。我们去公园"]), ("天气很好", ["今天天气很好。我们去公园"]),
            ("很天", []), ("天 好", ["今天天气很好。我们去公园"]), ("茶", ["红茶", "茶がすき"]), ("すき", ["茶がすき"]), ("날씨", ["오늘 날씨가 좋아요"]),
            ("씨가", ["오늘 날씨가 좋아요"]), ("ไทย", ["ภาษาไทยง่ายมาก"]), ("😀", ["Ha 😀😀"]),
            ("script", ["<script>alert(1)</script>"]),
            ("ＨＥＬＬＯ there", ["Hello there"]), ("or", ["one or two"]), ("one or", ["one or two"]),
            ("\"one or two\"", ["one or two"]),
        ] as [(String, [String])])
    func `What is asked for is found, in any language`(asked: String, found: [String]) throws {
        let all = [
            "Hello, world", "Hello there", "Un café, naïf", "50% off, a-b c++", "Straße", "Привет, мир!",
            "مرحبا بالعالم",
            "नमस्ते दुनिया", "今天天气很好。我们去公园", "红茶", "茶がすき", "오늘 날씨가 좋아요", "ภาษาไทยง่ายมาก", "Ha 😀😀",
            "<script>alert(1)</script>", "one or two",
        ]
        try say(all)
        let answer = try get(asked)
        #expect(answer.status == 200, "\(answer.text)")
        let contents = try answer.json["results"].list.map { result in
            try database.row(String.self, "select content from messages where id = \(result["message_id"].text)::uuid")
        }
        #expect(Set(contents) == Set(found) && contents.count == found.count, "\(answer.text)")
    }

    @Test(arguments: ["", " ", "!!! ???", "-foo", "-foo -bar", "\"\"", "-", "...", "\u{FFFD}"])
    func `Where nothing is asked for that could be found, it is refused`(asked: String) throws {
        let answer = try get(asked)
        expectProblem(answer, 422, "invalid", asked)
        #expect(answer.json["errors"][0]["field"] == "q")
    }

    @Test
    func `So is what is missing, too long, or holds NUL; bytes that are no text are no word`() throws {
        #expect(try get(String(repeating: "é", count: 200)).status == 200)
        expectProblem(try get(String(repeating: "é", count: 201)), 422, "invalid")
        for query in ["", "p=x", "q", "q=%00", "q=a%00b", "q=%FF", "q=%C3%28", "q=%ED%A0%80"] {
            let answer = try backend.call("search-messages", token: person.token, query: query)
            expectProblem(answer, 422, "invalid", query)
            #expect(answer.json["errors"][0]["field"] == "q")
        }
        for query in ["q=a%FFb", "q=100%", "q=%zz", "q=a+b", "q=%E2%82"] where query != "q=%E2%82" {
            #expect(try backend.call("search-messages", token: person.token, query: query).status == 200, "\(query)")
        }
    }

    @Test
    func `Whatever is asked, it is no error`() throws {
        try say(["Hello, world"])
        var random = Repeatable(state: 5)
        let pieces = [
            "\"", "-", "or", " ", "'", "\\", ":", "*", "&", "|", "!", "(", ")", "<->", "%", "_", "a", "天气", "茶", "é",
            "$1", "\u{301}", "😀",
        ]
        for _ in 0..<300 {
            let asked = (0..<8).map { _ in pieces[Int.random(in: 0..<pieces.count, using: &random)] }.joined()
            let answer = try get(asked)
            #expect([200, 422].contains(answer.status), "\(asked): \(answer.text)")
        }
    }

    // MARK: What is found

    @Test
    func `The best is first, and of equals the newest`() throws {
        try say([
            "An apple among other fruit", "apple pie and much else that is of no interest at all",
            "apple, apple, apple",
        ])
        let snippets = try search("apple").compactMap { $0["snippet"].text }
        #expect(snippets.first == "<mark>apple</mark>, <mark>apple</mark>, <mark>apple</mark>")
        #expect(snippets.last?.contains("pie") == true)
        try say(["same words", "same words"])
        let times = try search("same words").compactMap { $0["created_at"].text }
        #expect(times == times.sorted(by: >) && times.count == 2)
    }

    @Test
    func `A snippet is around what was found, and nothing in it is HTML but the marks`() throws {
        let long = String(repeating: "lorem ipsum ", count: 200)
        try say([
            "\(long) the <b>needle</b> & \"it's\" \(long)", "<mark>fake</mark> <img src=x onerror=alert(1)> fake",
            "Needles: needle, NEEDLE",
        ])
        let found = try search("needle").compactMap { $0["snippet"].text }
        #expect(found.contains("<mark>Needles</mark>: <mark>needle</mark>, <mark>NEEDLE</mark>"))
        let snippet = try #require(found.first { $0.hasPrefix("…") })
        #expect(snippet.hasSuffix("…") && snippet.count < 400)
        #expect(snippet.contains("the &lt;b&gt;<mark>needle</mark>&lt;/b&gt; &amp; &quot;it&#39;s&quot;"))
        #expect(
            try search("fake").compactMap { $0["snippet"].text } == [
                "&lt;mark&gt;<mark>fake</mark>&lt;/mark&gt; &lt;img src=x onerror=alert(1)&gt; <mark>fake</mark>"
            ])
    }

    @Test
    func `Nobody finds what is another's`() throws {
        try say(["secret plans"])
        let other = try backend.signIn()
        let theirs = try backend.room(other, ["title": "secret title"])
        #expect(try search("secret").count == 1)
        let found = try backend.call("search-messages", token: other.token, query: "q=secret").json["results"].list
        #expect(found.map { $0["chatroom_id"].text } == [theirs])
        // Not even where words are told apart by the same end of an id.
        try database.execute(
            "update search_entries set words = replace(words::text, right(\(person.id), 8), right(\(other.id), 8))::tsvector"
        )
        #expect(
            try backend.call("search-messages", token: other.token, query: "q=secret").json["results"].list == found)
    }

    @Test
    func `What is not on the branch that is shown is found; what is in the trash is not, until it is restored`() throws
    {
        try say(["first words"])
        let question = try #require(try database.row(String.self, "select id from messages where role = 'user'"))
        _ = try backend.call(
            "edit-message", room: room, message: question, token: person.token, body: ["content": "other words"])
        try finish()
        #expect(try search("words").count == 2)
        _ = try backend.call("delete-chatroom", room: room, token: person.token)
        #expect(try search("words") == [] && search("room") == [])
        _ = try backend.call("restore-chatroom", room: room, token: person.token)
        #expect(try search("words").count == 2 && search("room").count == 1)
        _ = try backend.call("delete-chatroom", room: room, token: person.token)
        _ = try backend.call("purge-chatroom", room: room, token: person.token)
        #expect(try database.row(Int.self, "select count(*) from search_entries") == 0)
    }

    @Test
    func `What was cancelled is found as far as it came, and what it answered`() throws {
        let worker = try backend.worker()
        let reply = try backend.post("[sandbox:chunks n=200 ms=50] A slow question", room, person)
        try eventually("some text") {
            try backend.call("get-message", room: room, message: reply, token: person.token).json["content"] != ""
        }
        _ = try backend.call("cancel-reply", room: room, message: reply, token: person.token)
        try eventually("the question") { try search("slow question").count > 0 }
        let entries = try database.rows(String.self, "select message_id from search_entries where words <> ''")
        #expect(entries.count == 2 && entries.contains(reply))
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Pages show each once while more is found`() throws {
        try say((1...9).map { "number \($0)" } + ["number number"])
        let all = try search("number").compactMap { $0["message_id"].text }
        #expect(all.count == 10)
        for limit in [1, 3, 9, 10] {
            var seen: [String] = []
            var cursor: String? = ""
            while let place = cursor {
                let page = try get("number", "&limit=\(limit)&cursor=\(place)").json
                seen += page["results"].list.compactMap { $0["message_id"].text }
                cursor = page["next_cursor"].text
                // Better, as good, and worse.
                try say(["number number number", "number 5", "a number between many other words of no interest"])
            }
            #expect(all.filter(seen.contains) == all, "pages of \(limit)")
            #expect(seen.count == Set(seen).count)
        }
    }

    /// Has these said, a reply to each, and all of it finished and to be found.
    private func say(_ contents: [String]) throws {
        for content in contents { _ = try backend.post(content, room, person) }
        try finish()
    }

    private func finish() throws {
        try database.execute(
            """
            with done as (delete from jobs returning id)
            update messages m set status = 'done', completed_at = now() from done where m.id = done.id
            """)
        while try database.row(Int.self, "select fill_search(100)") != 0 {}
    }

    private func search(_ asked: String) throws -> [JSONValue] { try get(asked).json["results"].list }

    private func get(_ asked: String, _ more: String = "") throws -> Answer {
        let bytes = Array(asked.utf8).map { "%" + [$0].hex }.joined()
        return try backend.call("search-messages", token: person.token, query: "q=\(bytes)\(more)")
    }
}
