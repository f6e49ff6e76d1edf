import Foundation
import TestSupport
import Testing

/// Not yours is not there, for every route that has a room in its path, those included that come later.
@Suite(.threads)
struct StrangersTests {
    /// A line of nginx/routes.conf that has a room in its path.
    struct Route: Sendable, CustomTestStringConvertible {
        let method: String
        let name: String
        let hasMessage: Bool
        var testDescription: String { name }
    }

    static let routes: [Route] = {
        let text = (try? String(contentsOfFile: "\(projectFolder)/nginx/routes.conf", encoding: .utf8)) ?? ""
        return text.matches(of: /(?m)^"~\^(?<method>[A-Z]+) (?<path>[^"]*)" +(?<name>[a-z-]+);/).compactMap { match in
            guard match.output.path.contains("<chatroom_id>") else { return nil }
            return Route(
                method: String(match.output.method), name: String(match.output.name),
                hasMessage: match.output.path.contains("<message_id>"))
        }
    }()

    @Test
    func `All routes with a room in them are tried`() throws {
        let text = try String(contentsOfFile: "\(projectFolder)/nginx/routes.conf", encoding: .utf8)
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") && $0.contains("chatroom_id") }
        #expect(Self.routes.count == lines.count && lines.count >= 4)
    }

    @Test(arguments: routes)
    func `Every chat endpoint's answers about another user's rooms and messages are 404`(route: Route) throws {
        let backend = try Backend()
        let (mine, theirs) = (try Party(backend), try Party(backend))
        let worker = try backend.worker()
        for party in [mine, theirs] {
            for (room, reply) in zip(party.rooms, party.replies) { _ = try backend.reply(reply, room, party.person) }
        }
        let isOfTrash = Self.trash.contains(route.name)
        if isOfTrash { for party in [mine, theirs] { try party.throwAway(backend) } }
        let nowhere = "00000000-0000-7000-8000-000000000000"
        var places: [(what: String, room: String, message: String)] = [
            ("their room", theirs.rooms[0], theirs.replies[0]), ("no room", nowhere, mine.replies[0]),
        ]
        if route.hasMessage {
            places += [
                ("their message in my room", mine.rooms[0], theirs.replies[0]),
                ("my message in their room", theirs.rooms[0], mine.replies[0]),
                ("my message in another room of mine", mine.rooms[1], mine.replies[0]),
                ("no message", mine.rooms[0], nowhere), ("a room for a message", mine.rooms[0], mine.rooms[0]),
            ]
        }
        let database = backend.database.connect()
        func everything() throws -> String? {
            try database.row(
                String.self,
                """
                select concat(
                    (select json_agg(r order by id) from chatrooms r), (select json_agg(m order by id) from messages m),
                    (select json_agg(j order by id) from jobs j))
                """)
        }
        // The worker looks once at what retention asks of a new room.
        try eventually("its look at the rooms") {
            try database.row(Int.self, "select count(*) from chatrooms where sweep_at is not null") == 0
        }
        let before = try everything()
        var details: Set<String?> = []
        for place in places {
            let answer = try call(route, backend, room: place.room, message: place.message, by: mine.person)
            expectProblem(answer, 404, "not_found", "\(route.name): \(place.what)")
            details.insert(answer.json["detail"].text)
        }
        // Nothing tells a room that is another's from none at all, and nothing was done to it.
        #expect(details.count == 1, "\(details)")
        #expect(try everything() == before)
        // The same request for what is one's own is another matter.
        let answer = try call(route, backend, room: mine.rooms[0], message: mine.replies[0], by: mine.person)
        #expect(answer.status != 404 && answer.status < 500, "\(route.name) \(answer.text)")
        withExtendedLifetime(worker) {}
    }

    /// Those that are for rooms in the trash, and for no others.
    static let trash = ["restore-chatroom", "purge-chatroom"]

    @Test(arguments: routes)
    func `A room in the trash is nowhere but there`(route: Route) throws {
        let backend = try Backend()
        let mine = try Party(backend)
        let worker = try backend.worker()
        for (room, reply) in zip(mine.rooms, mine.replies) { _ = try backend.reply(reply, room, mine.person) }
        if !Self.trash.contains(route.name) { try mine.throwAway(backend) }
        worker.terminate()
        try worker.wait()
        let before = try backend.database.dump().sorted()
        let answer = try call(route, backend, room: mine.rooms[0], message: mine.replies[0], by: mine.person)
        expectProblem(answer, 404, "not_found", route.name)
        #expect(try backend.database.dump().sorted() == before)
    }

    /// Somebody with two rooms and a reply in each.
    private struct Party {
        let person: Backend.Person
        let rooms: [String]
        let replies: [String]

        init(_ backend: Backend) throws {
            let person = try backend.signIn()
            rooms = try (0..<2).map { _ in try backend.room(person) }
            replies = try rooms.map { try backend.post("Hello", $0, person) }
            self.person = person
        }

        func throwAway(_ backend: Backend) throws {
            for room in rooms {
                let answer = try backend.call("delete-chatroom", room: room, token: person.token)
                #expect(answer.status == 204, "\(answer.text)")
            }
        }
    }

    /// A request that all endpoints take: what one does not ask for it overlooks.
    private func call(
        _ route: Route, _ backend: Backend, room: String, message: String, by person: Backend.Person
    ) throws -> Answer {
        let hasBody = !["GET", "DELETE"].contains(route.method)
        let body = hasBody ? JSONValue.object(["content": "Hello again", "title": "Mine"]).bytes : []
        var parameters = Backend.parameters(
            room: room, message: route.hasMessage ? message : nil, token: person.token, length: body.count,
            type: hasBody ? "application/json" : "")
        parameters["REQUEST_METHOD"] = route.method
        let connection = try FastCGI(backend.endpoint(route.name).listener.path)
        connection.sendRequest(parameters, body: body)
        return try connection.answer()
    }
}
