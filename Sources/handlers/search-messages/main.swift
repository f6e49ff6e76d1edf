import Common

struct Found: Decodable {
    let entries: String
    /// Where the page after this one starts; empty where there is none.
    let nextPlace: String
    let standing: Standing?

    enum CodingKeys: String, CodingKey {
        case entries, standing
        case nextPlace = "next_place"
    }
}

/// What is asked for, of 1 to 200 characters.
func asked(_ request: Request) throws -> String {
    guard let text = request.query("q") else { throw Problem.invalid("q", "is missing") }
    if text.utf8.contains(0) { throw Problem.invalid("q", "must not hold NUL") }
    guard (1...200).contains(text.unicodeScalars.count) else {
        throw Problem.invalid("q", "must have 1 to 200 characters")
    }
    return text
}

serve { request, database in
    let caller = try request.caller()
    let text = try asked(request)
    let page = try Page(request, of: "search \(text)", caller: caller, keys: 2)
    let found: Found = try database.call(
        "search_messages", caller, RateLimit.search.perMinute, text, page.after.first, page.after.last, page.limit)
    return .json(
        "{\(page.members("results", found.entries, next: found.nextPlace))}", headers: Standing.headers(found.standing))
}
