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

extension Response {
    /// The answer to everybody who has just signed in.
    /// - Parameter json: the user's, as `User.json` has it.
    public static func signIn(user: ID, json: String, session: ID, refresh: RefreshToken) throws -> Response {
        let token = try Token(user: user, session: session).signed()
        return .json(
            """
            {"token":"\(token)","token_type":"Bearer","expires_in":\(Settings.accessTokenSeconds),\
            "refresh_token":"\(refresh.text(user: user, session: session))","user":\(json)}
            """)
    }
}
