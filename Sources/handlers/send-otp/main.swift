import Common

serve { request, database in
    try sendOTP(for: .signIn, request, database)
}
