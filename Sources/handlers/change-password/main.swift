import Common

struct Change: Decodable {
    let currentPassword: CurrentPassword?
    let newPassword: NewPassword

    enum CodingKeys: String, CodingKey {
        case currentPassword = "current_password"
        case newPassword = "new_password"
    }
}

struct Account: Decodable {
    /// NULL where there is no password yet, and a code was entered for this session a moment ago.
    let hash: String?
    let standing: Standing?
}

serve { request, database in
    let change: Change = try request.json()
    let caller = try request.caller()
    let account: Account = try database.call(
        "change_password_begin", caller, RateLimit.account.perMinute, change.currentPassword != nil,
        Settings.loginTries,
        Settings.loginWait, Settings.loginLongestWait)
    return try request.counted(account.standing) {
        if let hash = account.hash {
            let isRight = try change.currentPassword.map { try Password.matches($0.text, hash: hash) }
            guard isRight == true else { throw Problem.currentPasswordWrong }
        }
        let newHash = try Password.hash(change.newPassword.text)
        let done: Done = try database.call(
            "change_password", caller, account.hash, newHash, request.address, request.header("USER_AGENT"))
        return .done(done)
    }
}
