import Common

serve { request, database in
    // Whoever has the link; what is revoked, over or paused is like what never was.
    let json = try database.row(
        String.self,
        """
        select (select row_to_json(j) from (select s.title, s.created_at, s.expires_at, s.messages) j)
        from shares s join chatrooms r on r.user_id = s.user_id and r.id = s.chatroom_id and r.deleted_at is null
        where s.token_hash = \(Share.hash(of: request.path("SHARE_TOKEN"))) and s.expires_at > now()
        """)
    guard let json else { throw Problem.notShared }
    return .json(json, headers: [("Cache-Control", "no-store"), ("X-Robots-Tag", "noindex")])
}

extension Problem {
    static let notShared = Problem(404, "not_found", "Nothing is shared under this link, or not any more.")
}
