import Common

serve { request in
    Query(Call("subscription_status", try request.caller(), Subscription.notices)) { (status: JSONAnswer) in
        .json(status)
    }
}
