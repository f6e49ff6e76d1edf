import Common

serve { request in
    Query(Call("explain_subscription", try request.caller(), Subscription.notices)) { (evidence: JSONAnswer) in
        .json(evidence)
    }
}
