/// A chatroom, as its owner sees it.
public enum Chatroom {
    /// The answer's JSON, of the table `chatrooms` under the name `r` joined to `Chatroom.updated` under the name `a`.
    public static var json: SQL {
        """
        (select row_to_json(j) from (select
            r.id, r.title, coalesce(r.model, \(Settings.model)) as model, r.system_instruction, r.pinned, r.archived,
            r.created_at, a.updated_at
        ) j)
        """
    }

    /// When there was last something new in the room `r`: a message, or a change to the room itself.
    ///
    /// It is found by the index on messages and not kept in the room's row, for a message would have to lock that row
    /// until its commit.
    public static let updated: SQL = """
        select greatest(r.changed_at, (
            select m.created_at from messages m
            where m.user_id = r.user_id and m.chatroom_id = r.id order by m.id desc limit 1
        )) as updated_at
        """

    /// Tells everybody who has the user's list of rooms that it is no longer right; part of the writing statement.
    /// `owner` is a table expression with their `user_id`.
    ///
    /// The version of a list is the sum of its shards. Each write adds one to the shard of its own connection, so
    /// writes of one user do not wait for each other's commit (10.5k messages/s into Postgres against 3.5k), and
    /// because every write is seen whole or not at all, two lists of one version are the same list.
    public static func bumpList(of owner: SQL) -> SQL {
        """
        insert into chatroom_list_versions (user_id, shard, version)
        select user_id, pg_backend_pid() % 8, 1 from \(owner)
        on conflict (user_id, shard) do update set version = chatroom_list_versions.version + 1
        """
    }
}
