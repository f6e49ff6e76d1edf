import Common

/// What `--keys` prints, for whatever starts the programs: each gets its own keys, and none gets the root keys.
enum ProgramKeys {
    /// `NAME TOKEN_KEYS` for each program that needs a key.
    static func lines(oldTokens: Bool) -> [String] {
        let programs = KeyPurpose.allCases.reduce(into: Set<String>()) { $0.formUnion($1.programs) }
        return programs.sorted().map { "\($0) \(Settings.tokenKeys.setting(of: $0, oldTokens: oldTokens))" }
    }
}
