/// Access tokens: JWT (RFC 7519, profile of RFC 9068), bound to a session.
public struct Token: Codable, Sendable {
    static let issuer = "gemini-chat-backend"
    static let longest = 2_048

    let iss: String
    let aud: String
    /// The user.
    let sub: ID
    /// The session, whose end is felt at once: every statement of a protected endpoint looks for it.
    let sid: ID
    /// Seconds since 1970 at which it was made, and from which on it is good no more.
    let iat: Int
    let exp: Int

    public init(user: ID, session: ID, now: Int = secondsSince1970(), seconds: Int = Settings.accessTokenSeconds) {
        iss = Token.issuer
        aud = Token.issuer
        sub = user
        sid = session
        iat = now
        exp = now + seconds
    }

    /// The token as the caller gets it.
    public func signed(with key: SigningKey = Settings.tokenKeys.signingKey()) throws -> String {
        let message = key.header + "." + Sodium.base64url(try JSON.encode(self))
        return message + "." + Sodium.base64url(key.signature(of: message.utf8))
    }

    /// Tokens whose signature this process has seen to be right, by the header that they came in: a client sends the same one
    /// many times, and looking it up takes 1 µs instead of 20. Handlers are of one thread.
    private nonisolated(unsafe) static var known: [String: Token] = [:]

    /// The token out of a header `Authorization`, if one of our keys made it and it is good now.
    static func verified(authorization: String, now: Int = secondsSince1970()) throws -> Token {
        let token: Token
        // What cannot be one of ours is neither hashed nor split (`Request`).
        let isASCII = authorization.utf8.withContiguousStorageIfAvailable { $0.allSatisfy { $0 < 0x80 } }
        let isPlausible = authorization.utf8.count <= 7 + longest && isASCII ?? false
        if isPlausible, let seen = known[authorization] {
            token = seen
        } else {
            guard String(decoding: authorization.utf8.prefix(7), as: UTF8.self).lowercased() == "bearer " else {
                throw Problem.unauthorized("token_missing", "This needs Authorization: Bearer and an access token.")
            }
            guard isPlausible else { throw Token.refused }
            token = try Token(verifying: String(authorization.dropFirst(7)))
            if known.count >= 256 { known = [:] }
            known[authorization] = token
        }
        guard token.iat <= now + 60 else { throw Token.refused }
        guard now < token.exp else {
            known[authorization] = nil
            throw Problem.unauthorized("token_expired", "The access token is over; refresh it or sign in again.")
        }
        return token
    }

    private static let refused = Problem.unauthorized("token_invalid", "The access token is not valid.")

    /// A token that one of `keys` signed.
    ///
    /// Its header has to be, byte for byte, the one that we write for a key, so that no other algorithm, type, key or
    /// critical extension is ever looked at.
    private init(verifying text: String, keys: [VerifyingKey] = Settings.tokenKeys.verifying) throws {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3,
            let key = keys.first(where: { $0.header == parts[0] }),
            let signature = Sodium.decode(parts[2])
        else { throw Token.refused }
        let message = text.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count)
        guard key.verifies(signature, of: message),
            let payload = Sodium.decode(parts[1]), let token = try? JSON.decode(Token.self, payload),
            token.iss == Token.issuer, token.aud == Token.issuer
        else { throw Token.refused }
        self = token
    }
}
