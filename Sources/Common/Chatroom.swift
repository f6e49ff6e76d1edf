/// A chatroom, as its owner sees it: of a row's columns of the same names.
public struct Chatroom: Codable, Sendable {
    public let id: ID
    public let title: String?
    public let model: String
    public let systemInstruction: String?
    public let pinned: Bool
    public let archived: Bool
    public let createdAt: Timestamp
    public let updatedAt: Timestamp

    enum CodingKeys: String, CodingKey {
        case id, title, model, pinned, archived
        case systemInstruction = "system_instruction"
        case createdAt = "created_at"
        case updatedAt = "updated_at"
    }

    /// The columns that a `Chatroom` is decoded from, of the table `chatrooms` under the name `r`.
    ///
    /// `updated_at` is the time of the last message or of the last change to the room itself. It is found by the index
    /// on messages and not kept in the room's row, for a message would then have to lock that row until its commit.
    public static var columns: SQL {
        """
        r.id, r.title, coalesce(r.model, \(Settings.model)) as model, r.system_instruction, r.pinned, r.archived,
        r.created_at, greatest(r.changed_at, (
            select m.created_at from messages m
            where m.user_id = r.user_id and m.chatroom_id = r.id order by m.id desc limit 1
        )) as updated_at
        """
    }

    /// Tells everybody who has the user's list of rooms that it is no longer right; part of the writing statement, as
    /// `…, listed as (…)`. `owner` selects `user_id`.
    ///
    /// The version of a list is the sum of its shards. Each write adds one to the shard of its own connection, so
    /// writes of one user do not wait for each other's commit (3.5k against 10.5k messages/s into Postgres), and
    /// because every write is seen whole or not at all, two lists of one version are the same list.
    public static func bumpList(of owner: SQL) -> SQL {
        """
        insert into chatroom_list_versions (user_id, shard, version)
        select user_id, pg_backend_pid() % 8, 1 from (\(owner)) o
        on conflict (user_id, shard) do update set version = chatroom_list_versions.version + 1
        """
    }
}
