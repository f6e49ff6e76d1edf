import Common

struct Guess: Decodable {
    let mobile: WrittenMobile
    let otp: EnteredOTP
    /// For an account whose number is proven by this; ignored later.
    let username: Username?
    let password: NewPassword?
}

struct SignedIn: Decodable {
    let owner: ID
    let json: String
}

serve { request, database in
    let guess: Guess = try request.json()
    let mobile = try guess.mobile.stored(by: "verify_otp_number", in: database)
    let hashes = OTP.hashes(of: guess.otp, mobile: mobile, purpose: .signIn)
    let refresh = RefreshToken()
    let passwordHash = try guess.password.map { try Password.hash($0.text) }
    let user: SignedIn = try database.call(
        "verify_otp", mobile, hashes, guess.username, passwordHash, refresh.session, refresh.hash,
        Settings.sessionSeconds,
        KeptLimits.keys(of: mobile), request.address, request.header("USER_AGENT"))
    return try .signIn(user: user.owner, json: user.json, refresh: refresh)
}
