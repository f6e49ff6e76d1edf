import Common

struct Credentials: Decodable {
    let mobile: WrittenMobile
    let password: Text<AnyPassword>
}

/// As long as a password can be; what new ones have to be besides may have changed since this one was new.
enum AnyPassword: TextRule { static let length = 1...128 }

struct Account: Decodable {
    /// What the try was counted under, which `login` takes back; `addressUntil` is a time.
    let origin: String
    let addressUntil: String?
    /// NULL where nobody has proven the number to be theirs.
    let owner: ID?
    /// NULL where there is no password.
    let hash: String?

    enum CodingKeys: String, CodingKey {
        case origin, owner, hash
        case addressUntil = "address_until"
    }
}

// Numbers with and without an account, with and without a password, are treated alike and take the same time, so that
// nobody finds out which is which.
serve { request, database in
    let input: Credentials = try request.json()
    let mobile = try input.mobile.stored(by: "login_number", in: database)
    let (address, agent) = (request.address, request.header("USER_AGENT"))
    let account: Account = try database.call(
        "login_begin", mobile, address, agent, Settings.loginTries, Settings.loginTriesByAddress, Settings.loginWait,
        Settings.loginLongestWait)

    let form = try Password.form(of: input.password.text, in: account.hash)
    guard let form, let owner = account.owner, let hash = account.hash else {
        let _: Done = try database.call("login_failed", account.owner, address, agent)
        throw Problem.credentialsInvalid
    }
    let isOutdated = form == .typed || Password.isOutdated(hash)
    let newHash = isOutdated ? try Password.hash(input.password.text) : hash
    let refresh = RefreshToken()
    let user: JSONAnswer = try database.call(
        "login", owner, hash, newHash, refresh.session, refresh.hash, Settings.sessionSeconds, account.origin,
        account.addressUntil, address, agent)
    return try .signIn(user: owner, json: user.json, refresh: refresh)
}
