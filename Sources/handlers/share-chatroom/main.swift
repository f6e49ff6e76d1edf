import Common

struct NewShare: Decodable {
    let expiresInDays: ShareDays?

    enum CodingKeys: String, CodingKey { case expiresInDays = "expires_in_days" }
}

struct Shared: Decodable {
    /// Whether there is such a room of the caller's.
    let found: Bool
    /// Bytes of what it shows.
    let size: Int?
    /// A `Share` as JSON; NULL where there are as many as there may be.
    let share: String?
}

serve { request, database in
    let new: NewShare = try request.json()
    let caller = try request.caller()
    let room = try request.pathID("CHATROOM_ID")
    let once = try request.once(caller, "share-chatroom", room)
    let id = Sodium.uuid()
    let hash = Share.hash(of: Share.token(user: caller.user, id: id))
    return try once.answer(from: database) {
        let shared = try database.row(
            Shared.self,
            """
            with caller as (\(caller.live) and \(once.isFirst) and \(RateLimit.sharing.allows)), room as (
                select r.user_id, r.id, r.title, t.at, said.messages, octet_length(said.messages::text) as size
                from caller join \(Chatroom.found(room)) cross join (select clock_timestamp() as at offset 0) t
                cross join lateral (
                    select coalesce(json_agg((
                        select row_to_json(j) from (select m.role, m.content, \(Message.createdAt) as created_at) j
                    ) order by m.id), '[]') as messages
                    from messages m
                    where m.user_id = r.user_id and m.chatroom_id = r.id and \(Message.isSaid)
                        and \(Message.isOn("r.branch"))
                ) said
            ), s as (
                insert into shares (user_id, id, chatroom_id, token_hash, title, messages, created_at, expires_at)
                select r.user_id, \(id), r.id, \(hash), r.title, r.messages, r.at,
                    r.at + make_interval(days => \(new.expiresInDays?.count ?? Settings.shareDays)::int)
                from room r where r.size <= \(Settings.shareBytes)::int and may_share(r.user_id, \(Settings.shares)::int)
                returning *
            ), made as (
                select user_id, row_to_json(j) as share from (select \(Share.columns) from s) j
            ), kept as (\(once.keep("select user_id, to_json(share::text) from made")))
            select r.id is not null as found, r.size, made.share
            from caller left join room r on true left join made on true
            """)
        guard let shared else { throw Problem.sessionEnded }
        guard shared.found else { throw Problem.notFound }
        guard shared.size ?? 0 <= Settings.shareBytes else { throw Problem.shareTooLarge }
        guard let share = shared.share else { throw Problem.tooManyShares }
        return share
    } as: { share in
        .json(try JSON.decode(Share.self, Array(share.utf8)).answer(), status: 201)
    }
}

extension Problem {
    static let shareTooLarge = Problem(409, "share_too_large", "This room has become too long to be shared.")
    static let tooManyShares = Problem(
        409, "too_many_shares", "You share as much as can be shared; revoke something first.")
}
