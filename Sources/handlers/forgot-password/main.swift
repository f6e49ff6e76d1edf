import Common

serve { request, database in
    try sendOTP(for: .reset, request, database)
}
