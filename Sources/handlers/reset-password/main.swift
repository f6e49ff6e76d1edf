import Common

struct Reset: Decodable {
    let mobile: WrittenMobile
    let otp: EnteredOTP
    let newPassword: NewPassword

    enum CodingKeys: String, CodingKey {
        case mobile, otp
        case newPassword = "new_password"
    }
}

serve { request, database in
    let reset: Reset = try request.json()
    let mobile = try reset.mobile.stored(by: "reset_password_number", in: database)
    let hashes = OTP.hashes(of: reset.otp, mobile: mobile, purpose: .reset)
    // Before it is known whether the code is right, so that a code is used up by the transaction that sets the password.
    let passwordHash = try Password.hash(reset.newPassword.text)
    let done: Done = try database.call(
        "reset_password", mobile, hashes, passwordHash, KeptLimits.keys(of: mobile), request.address,
        request.header("USER_AGENT"))
    return .done(done)
}
