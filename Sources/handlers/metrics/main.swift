import Common

struct Metrics: Decodable { let body: String }

/// Whether the caller is on this host, and not behind a proxy that is: a proxy says for whom it asks.
func isLocal(_ request: Request) -> Bool {
    let address = request.address ?? ""
    let isLoopback = address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
    return isLoopback && ["X_FORWARDED_FOR", "X_REAL_IP", "FORWARDED", "VIA"].allSatisfy { request.header($0) == nil }
}

serve { request, database in
    guard isLocal(request) else { throw Problem.notFound }
    let metrics: Metrics = try database.call("metrics", Settings.otpPerDay)
    return Response(
        status: 200, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
        body: Array(metrics.body.utf8))
}
