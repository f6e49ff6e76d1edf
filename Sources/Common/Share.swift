/// A link that shows a room, as it was, to whoever has it.
///
/// The link's token is derived from a key of `TOKEN_KEYS`, the user and the share, so that its owner can be shown it again, while
/// the database holds only its hash. A key that is gone takes that away, and no link.
public struct Share: Decodable {
    let user: ID
    let id: ID
    let hash: String
    /// The answer's JSON but for `url`.
    let json: String

    enum CodingKeys: String, CodingKey {
        case id, hash, json
        case user = "user_id"
    }

    /// The answer's JSON, of what the function `share_json` gives.
    public static func answer(_ share: String) throws -> String {
        try JSON.decode(Share.self, Array(share.utf8)).answer()
    }

    /// The answer's JSON.
    public func answer(keys: [TokenKey] = Settings.tokenKeys[.share]) -> String {
        let token = keys.lazy.map { Share.token(user: user, id: id, key: $0) }.first { Share.hash(of: $0) == hash }
        // Without PUBLIC_URL it is for whoever asks to say where they are: a Host header is anybody's to send.
        let url = token.map { JSON.quoted("\(Settings.linkPrefix)/shared.html#\($0)") } ?? "null"
        return "\(json.dropLast()),\"url\":\(url)}"
    }

    /// 256 bits that nobody guesses.
    public static func token(user: ID, id: ID, key: TokenKey = Settings.tokenKeys.first(.share)) -> String {
        Sodium.base64url(Sodium.hmac("\(user)|\(id)".utf8, key: key.bytes))
    }

    /// SHA-256 in hexadecimal.
    public static func hash(of token: String) -> String { Sodium.sha256(Array(token.utf8)).hex }
}
