/// What a session is renewed with: 256 random bits, of which only the hash is kept.
public struct RefreshToken: Sendable {
    private let secret = Sodium.random(32)
    public init() {}

    /// SHA-256 in hexadecimal.
    public var hash: String { Sodium.sha256(secret).hex }

    /// As the caller gets it: the session's place goes along, so that it is found by its key.
    func text(user: ID, session: ID) -> String {
        "\(user).\(session).\(Sodium.base64url(secret))"
    }
}

/// The answer to everybody who has just signed in.
public struct SignIn: Encodable, Sendable {
    let token: String
    let tokenType = "Bearer"
    let expiresIn = Settings.accessTokenSeconds
    let refreshToken: String
    let user: User

    enum CodingKeys: String, CodingKey {
        case token, user
        case tokenType = "token_type"
        case expiresIn = "expires_in"
        case refreshToken = "refresh_token"
    }

    public init(user: User, session: ID, refresh: RefreshToken) throws {
        token = try Token(user: user.id, session: session).signed()
        refreshToken = refresh.text(user: user.id, session: session)
        self.user = user
    }
}
