/// A chatroom, as its owner sees it.
public enum Chatroom {
    /// The answer's JSON, of the table `chatrooms` under the name `r` joined to `Chatroom.updated` under the name `a`.
    public static var json: SQL { "(select row_to_json(j) from (select \(columns)) j)" }

    /// Its members, of the same tables.
    public static var columns: SQL {
        """
        r.id, r.title, coalesce(r.model, \(Settings.model)) as model, r.system_instruction, r.pinned, r.archived,
        r.retention_days, r.created_at, a.updated_at
        """
    }

    /// The room `r` of the caller's with this id, as what is joined to `caller`. One in the trash is not there.
    public static func found(_ id: ID) -> SQL {
        "chatrooms r on r.user_id = caller.user_id and r.id = \(id) and r.deleted_at is null"
    }

    /// Whether the room `r` is in the trash and can be restored. After that it is the worker's to delete.
    public static var isInTrash: SQL {
        "(r.deleted_at is not null and r.deleted_at > now() - make_interval(days => \(Settings.trashDays)::int))"
    }

    /// When there was last something new in the room `r`: a message, or a change to the room itself.
    ///
    /// It is found by the index on messages and not kept in the room's row, for a message would have to lock that row
    /// until its commit.
    public static let updated: SQL = """
        select greatest(r.changed_at, (
            select \(Message.createdAt) from messages m
            where m.user_id = r.user_id and m.chatroom_id = r.id order by m.id desc limit 1
        )) as updated_at
        """
}
