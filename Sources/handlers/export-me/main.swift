import Common

serve { request, database in
    let caller = try request.caller()
    let begun: Done = try database.call(
        "export_me", caller, RateLimit.export.perMinute, request.address, request.header("USER_AGENT"))
    let headers = [
        ("Content-Type", "application/x-ndjson"), ("Content-Disposition", "attachment; filename=\"export.ndjson\""),
        ("Cache-Control", "no-store"),
    ]
    return .stream(headers: headers + Standing.headers(begun.standing)) { write in
        // One view of all of it, of which a few rows at a time are in memory here.
        try database.snapshot {
            let _: Done = try database.call("export_me_open", caller)
            try database.callInPieces("export_me_lines", caller) { lines in
                try write(Array(lines.map { $0 + "\n" }.joined().utf8))
            }
        }
        try write(Array("{\"type\":\"end\"}\n".utf8))
    }
}
