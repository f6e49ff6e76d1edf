import Common
import Foundation

/// Somebody with a room.
public struct World {
    public let backend: Backend
    public let person: Backend.Person
    public let room: String
    public let database: Database

    public init(_ settings: [String: String] = [:]) throws {
        backend = try Backend(settings)
        person = try backend.signIn()
        room = try backend.room(person)
        database = backend.database.connect()
    }

    /// Posts a message and waits for its reply.
    public func ask(_ content: String, in room: String? = nil) throws -> JSONValue {
        let room = room ?? self.room
        return try backend.reply(backend.post(content, room, person), room, person)
    }

    /// Posts messages in a room each and waits for the replies.
    public func askAll(_ contents: [String]) throws -> [JSONValue] {
        let posts = try contents.map { content in
            let room = try backend.room(person)
            return (try backend.post(content, room, person), room)
        }
        return try posts.map { try backend.reply($0, $1, person) }
    }

    public func jobs() throws -> Int? { try database.row(Int.self, "select count(*) from jobs") }
}
