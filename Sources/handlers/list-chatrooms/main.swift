import Common

struct Listed: Decodable {
    /// Where the page after this one starts, nothing where there is none; a new line; the entries.
    let page: [UInt8]
    let version: Int?
    let isHit: Bool

    enum CodingKeys: String, CodingKey {
        case page, version
        case isHit = "is_hit"
    }
}

serve { request in
    let caller = try request.caller()
    let flag = request.query("archived") ?? "false"
    guard flag.utf8.count <= 5, ["true", "false"].contains(flag) else {
        throw Problem.invalid("archived", "must be true or false")
    }
    let isArchived = flag == "true"
    let page = try Page(request, of: isArchived ? "archived chatrooms" : "chatrooms", caller: caller, keys: 4)
    let isUsual = page.after.isEmpty && page.limit == 50 && !isArchived
    let after: [String?] = page.after.isEmpty ? [nil, nil, nil, nil] : page.after
    let call = Call(
        "list_chatrooms", caller, isArchived, isUsual, after[0], after[1], after[2], after[3], page.limit,
        Settings.model)
    return Query(call) { (listed: Listed) in
        var headers: [(String, String)] = isUsual ? [("X-Cache", listed.isHit ? "hit" : "miss")] : []
        if let version = listed.version {
            let etag = "\"\(version)\""
            headers += [("ETag", etag), ("Cache-Control", "private, no-cache")]
            if listed.isHit, request.matches(etag: etag) { return Response(status: 304, headers: headers) }
        }
        return .json(page.answer("chatrooms", listed.page), headers: headers)
    }
}
