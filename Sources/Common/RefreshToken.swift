/// What a session is renewed with, as `user.session.generation.secret`; only the secret's hash is kept.
///
/// The secret is derived from a token key, the session and the generation. So every process answers a repeated refresh
/// with the same token, and knows without keeping them that earlier tokens were genuine.
public struct RefreshToken: Sendable {
    public let session: ID
    /// How often the session had been refreshed when it was made.
    public let generation: Int
    private let secret: [UInt8]

    /// Seconds for which the one before the current is still good: for a second tab, or an answer that was lost.
    public static let overlapSeconds = 30
    /// The answer to what is no refresh token of ours.
    public static let invalid = Problem.unauthorized(
        "refresh_invalid", "The refresh token is not valid; sign in again.")

    /// The first of a new session.
    public init() {
        self.init(session: Sodium.uuid(), generation: 0, key: Settings.tokenKeys.first(.refresh))
    }

    init(session: ID, generation: Int, key: TokenKey) {
        self.session = session
        self.generation = generation
        secret = Sodium.hmac("\(session)|\(generation)".utf8, key: key.bytes)
    }

    /// Reads a token as its user sends it, genuine or not, with the user that it names; 401 where it has another form.
    public static func read(_ text: String) throws -> (user: ID, token: RefreshToken) {
        guard text.utf8.count <= 256 else { throw invalid }
        let parts = text.split(separator: ".", maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 4, let user = ID(parts[0]), let session = ID(parts[1]),
            let generation = Int32(parts[2]), (0..<Int32.max).contains(generation),
            let secret = Sodium.decode(parts[3]), secret.count == 32
        else { throw invalid }
        return (user, RefreshToken(session: session, generation: Int(generation), secret: secret))
    }

    private init(session: ID, generation: Int, secret: [UInt8]) {
        self.session = session
        self.generation = generation
        self.secret = secret
    }

    /// SHA-256 in hexadecimal.
    public var hash: String { Sodium.sha256(secret).hex }

    /// The one that takes its place, derived from this key.
    public func next(key: TokenKey = Settings.tokenKeys.first(.refresh)) -> RefreshToken {
        RefreshToken(session: session, generation: generation + 1, key: key)
    }

    /// Whether one of `keys` made it.
    public func isGenuine(keys: [TokenKey] = Settings.tokenKeys[.refresh]) -> Bool {
        keys.contains { key in
            Sodium.equal(secret, RefreshToken(session: session, generation: generation, key: key).secret)
        }
    }

    /// As the caller gets it: the session's place goes along, so that it is found by its key.
    func text(user: ID) -> String { "\(user).\(session).\(generation).\(Sodium.base64url(secret))" }
}
