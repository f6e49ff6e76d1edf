import Common

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let restored = try database.answer(
        """
        with caller as (\(caller.live)), restored as (
            update chatrooms r set deleted_at = null
            from caller where r.user_id = caller.user_id and r.id = \(room) and \(Chatroom.isInTrash)
            returning r.*
        )
        select case when r.id is not null then \(Chatroom.json) end as json, forget_chatroom_list(r.user_id)
        from caller left join restored r on true left join lateral (\(Chatroom.updated)) a on true
        """)
    return .json(restored)
}
