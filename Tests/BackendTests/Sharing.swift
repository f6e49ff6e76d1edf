import TestSupport

/// What tests of shares do again and again.
extension Conversation {
    /// Shares the room: the answer, and the token of its link.
    func share(_ body: JSONValue = [:]) throws -> (share: JSONValue, token: String) {
        let answer = try call("share-chatroom", body: body)
        guard answer.status == 201, let url = answer.json["url"].text, let place = url.firstIndex(of: "#") else {
            throw Executable.Failure("\(answer.status) \(answer.text)")
        }
        return (answer.json, String(url[url.index(after: place)...]))
    }

    /// What is under a link.
    func shared(_ token: String) throws -> Answer { try backend.call("get-shared", path: ["SHARE_TOKEN": token]) }

    func revoke(_ share: JSONValue, by other: Backend.Person? = nil) throws -> Answer {
        try backend.call("revoke-share", token: (other ?? person).token, path: ["SHARE_ID": share["id"].text ?? ""])
    }
}
