/// A user, as their own requests see them: of a row's columns of the same names.
public struct User: Codable, Sendable {
    public let id: ID
    public let mobile: String
    public let username: String?
    public let tier: String
    public let mobileVerified: Bool
    public let createdAt: Timestamp

    enum CodingKeys: String, CodingKey {
        case id, mobile, username, tier
        case mobileVerified = "mobile_verified"
        case createdAt = "created_at"
    }

    /// The columns that a `User` is decoded from, of the table `users` under the name `u`.
    public static let columns: SQL = """
        u.id, u.mobile, u.username, u.tier, u.mobile_verified_at is not null as mobile_verified, u.created_at
        """
}

/// `{"user": …}`, which several endpoints answer with.
public struct UserAnswer: Encodable, Sendable {
    let user: User
    public init(user: User) { self.user = user }
}
