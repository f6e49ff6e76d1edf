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
}
