import Common

struct NewUser: Decodable {
    let mobile: WrittenMobile
    let username: Username?
    /// Checked here, so that a bad one is known before a code is sent; verify-otp sets it.
    let password: NewPassword?
}

serve { request, database in
    let new: NewUser = try request.json()
    let mobile = try new.mobile.reachable(by: "signup_number", in: database)
    let user: JSONAnswer = try database.call(
        "signup", mobile, new.username, request.address, Settings.otpPerAddressHour, Settings.signupConceals)
    return .json("{\"user\":\(user.json)}", status: 201)
}
