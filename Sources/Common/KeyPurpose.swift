/// What a key of `TOKEN_KEYS` is for. A process that holds the keys of its own purposes can do nothing that takes another.
public enum KeyPurpose: String, CaseIterable, Sendable {
    /// Signs access tokens: the seed of a pair (Ed25519).
    case sign
    /// Verifies them: the public key of that pair, which is no secret.
    case verify
    /// Makes refresh tokens, and tells genuine ones.
    case refresh
    /// Signs the cursors of lists.
    case cursor
    /// Makes the links of shares.
    case share
    /// Hashes one-time passwords, and encrypts those that the worker sends.
    case otp
    /// Hashes the number of a deleted account, whose limits are kept.
    case limit
    /// Verifies access tokens of HS256 that a root key signed: the root secret itself. No process needs it, and none uses it for more.
    case old

    /// The programs that need such a key, and get it from `cron-worker --keys`. A new endpoint that needs one is added here.
    public var programs: Set<String> {
        switch self {
        case .sign: ["login", "refresh", "verify-otp"]
        case .verify:
            [
                "cancel-reply", "cancel-subscription", "change-password", "choose-message", "continue-reply",
                "create-chatroom", "delete-attachment", "delete-chatroom", "delete-me", "edit-message",
                "explain-subscription", "export-me", "get-attachment", "get-chatroom", "get-me", "get-message",
                "get-provenance", "get-usage", "jwks", "list-chatrooms", "list-invoices", "list-ledger",
                "list-messages", "list-security-events", "list-sessions", "list-shares", "list-trash", "logout",
                "purge-chatroom", "refresh-subscription", "regenerate-reply", "restore-chatroom",
                "resume-subscription", "revoke-other-sessions", "revoke-session", "revoke-share", "search-messages",
                "send-message", "share-chatroom", "stream-reply", "subscribe-pro", "subscription-portal",
                "subscription-status", "update-chatroom", "update-me", "upload-attachment",
            ]
        case .refresh: ["login", "logout", "refresh", "verify-otp"]
        case .cursor:
            [
                "get-chatroom", "list-chatrooms", "list-ledger", "list-messages", "list-security-events",
                "list-shares", "list-trash", "search-messages",
            ]
        case .share: ["list-shares", "share-chatroom"]
        case .otp: ["cron-worker", "delete-me", "forgot-password", "reset-password", "send-otp", "verify-otp"]
        case .limit: ["delete-me", "forgot-password", "reset-password", "send-otp", "verify-otp"]
        // jwks shows public keys, and looks at no token.
        case .old: KeyPurpose.verify.programs.subtracting(["jwks"])
        }
    }
}
