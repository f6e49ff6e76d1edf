import Common

serve { request in
    let call = Call("get_usage", try request.caller(), Plan.basic.messagesPerDay, Plan.pro.messagesPerDay)
    return Query(call) { (usage: JSONAnswer) in .json(usage) }
}
