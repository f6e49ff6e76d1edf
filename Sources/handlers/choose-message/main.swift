import Common

serve { request, database in
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let id = try request.pathID("MESSAGE_ID")
    // The room's row is locked before its branches, as by fork(). Without branches nothing is chosen, and all is shown.
    let message = try database.answer(
        """
        with caller as (\(caller.live) and \(RateLimit.rooms.allows)), m as (
            select m.* from caller
            join \(Message.found(id, in: room))
        ), branch as (
            select b.user_id, b.chatroom_id, b.id
            from m join branches b on b.user_id = m.user_id and b.chatroom_id = m.chatroom_id
            where \(Message.isOn("b.id")) order by b.chosen_at desc limit 1
        ), room as (
            update chatrooms r set branch = b.id from branch b where r.user_id = b.user_id and r.id = b.chatroom_id
            returning b.user_id, b.chatroom_id, b.id
        ), chosen as (
            update branches b set chosen_at = clock_timestamp() from room r
            where b.user_id = r.user_id and b.chatroom_id = r.chatroom_id and b.id = r.id
        )
        select case when m.id is not null then \(Message.json) end as json from caller left join m on true
        """)
    return .json(message)
}
