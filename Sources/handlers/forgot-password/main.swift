import Common

serve { request, database in
    try sendOTP(for: .reset, by: "forgot_password", numberBy: "forgot_password_number", request, database)
}
