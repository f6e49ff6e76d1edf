/// The keys that a process got in `TOKEN_KEYS`: root keys, from which it derives those of all purposes, or those of its own purposes.
///
/// Each purpose keeps the order of the setting. The first key makes what is new, and all of them verify, so that keys rotate without
/// signing anybody out.
public struct TokenKeys: Sendable {
    /// Empty where the setting holds derived keys, or nothing.
    private let roots: [RootKey]
    private let keys: [KeyPurpose: [TokenKey]]
    private let signing: [SigningKey]
    /// What verifies access tokens.
    let verifying: [VerifyingKey]

    /// A code is compared under each key, and more of them would be many guesses (`try_code`).
    private static let most = 8

    /// Reads a setting; one that cannot be used ends the process.
    init(_ setting: String) {
        var (roots, keys): ([RootKey], [TokenKey]) = ([], [])
        for entry in setting.split(separator: ",") {
            switch KeyEntry(entry) {
            case .root(let key): roots.append(key)
            case .derived(let key): keys.append(key)
            }
        }
        if !roots.isEmpty, !keys.isEmpty { Settings.refuse("TOKEN_KEYS holds both root keys and derived keys") }
        keys += roots.flatMap(\.derived)
        TokenKeys.refuseRepeats(roots.map(\.kid) + keys.map { "\($0.kid) for \($0.purpose.rawValue)" })
        let byPurpose = Dictionary(grouping: keys, by: \.purpose)
        // A root key that is a pair has two that verify, its own and the derived one.
        if byPurpose.contains(where: { $0.value.count > TokenKeys.most * ($0.key == .verify ? 2 : 1) }) {
            Settings.refuse("TOKEN_KEYS has more than \(TokenKeys.most) keys of one purpose")
        }
        self.roots = roots
        self.keys = byPurpose
        // Root keys sign themselves, as every process with root keys has done, so that such processes agree.
        signing =
            roots.isEmpty
            ? keys.filter { $0.purpose == .sign }.map { SigningKey(derived: $0) }
            : roots.map { SigningKey(root: $0) }
        verifying = keys.filter { $0.purpose == .verify || $0.purpose == .old }.map { VerifyingKey($0) }
    }

    private static func refuseRepeats(_ names: [String]) {
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            Settings.refuse("TOKEN_KEYS names the kid \(name) twice")
        }
    }

    /// The keys for a purpose, the one that makes what is new first.
    public subscript(purpose: KeyPurpose) -> [TokenKey] { keys[purpose] ?? [] }

    /// The key that makes what is new; without any for this purpose, the process ends.
    public func first(_ purpose: KeyPurpose) -> TokenKey {
        guard let key = self[purpose].first else { refuseLack(of: purpose) }
        return key
    }

    private func refuseLack(of purpose: KeyPurpose) -> Never {
        Settings.refuse(
            keys.isEmpty
                ? "TOKEN_KEYS is not set, but a key for \(purpose.rawValue) is needed"
                : "TOKEN_KEYS has no key for \(purpose.rawValue)")
    }

    /// The key that signs access tokens; without any, the process ends.
    /// - Parameter key: the one of a refresh token that the access token comes with: both are of the same root key if they can be.
    public func signingKey(beside key: TokenKey? = nil) -> SigningKey {
        guard let signingKey = signing.first(where: { $0.rootKid == key?.rootKid }) ?? signing.first else {
            refuseLack(of: .sign)
        }
        return signingKey
    }

    /// What others may verify access tokens with: of the keys that sign, where those are here.
    public var published: [VerifyingKey] { roots.isEmpty ? verifying : signing.map(\.verifying) }

    /// Ends the process where it lacks a key that it needs.
    func check(for program: String) {
        for purpose in KeyPurpose.allCases where purpose != .old && purpose.programs.contains(program) {
            _ = first(purpose)
        }
    }

    /// `TOKEN_KEYS` of a process that needs only the keys of its purposes. Without root keys to derive them from, this process ends.
    /// - Parameter oldTokens: whether it is to verify access tokens of HS256 too, for which it gets the root secrets.
    public func setting(of program: String, oldTokens: Bool) -> String {
        if roots.isEmpty {
            Settings.refuse(keys.isEmpty ? "TOKEN_KEYS is not set" : "TOKEN_KEYS holds derived keys and no root key")
        }
        return KeyPurpose.allCases.filter { $0.programs.contains(program) && (oldTokens || $0 != .old) }
            .flatMap { self[$0] }.map(\.text).joined(separator: ",")
    }
}
