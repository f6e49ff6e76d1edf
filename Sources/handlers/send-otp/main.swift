import Common

serve { request, database in
    try sendOTP(for: .signIn, by: "send_otp", numberBy: "send_otp_number", request, database)
}
