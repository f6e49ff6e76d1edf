import Common

serve { request in
    Query(Call("list_sessions", try request.caller())) { (sessions: JSONAnswer) in
        .json("{\"sessions\":\(sessions.json)}")
    }
}
