import Common

serve { request in
    Query(Call("get_me", try request.caller())) { (user: JSONAnswer) in .json("{\"user\":\(user.json)}") }
}
