/// What callers are told where an endpoint's function refuses: one problem for each word that a function gives as its verdict.
extension Problem {
    static func of(_ refusal: Refusal) throws -> Problem {
        let standing = try refusal.details(Counted.self).standing
        var problem =
            switch refusal.word {
            case "session_ended": sessionEnded
            case "not_found": notFound
            case "rate_limited":
                if let standing {
                    rateLimited(seconds: standing.seconds)
                } else {
                    try refusal.details(Quota.self).minuteProblem
                }
            case "daily_limit_reached": try refusal.details(Quota.self).dayProblem
            case "idempotency_mismatch": idempotencyMismatch
            case "idempotency_running": idempotencyRunning
            // Messages
            case "not_a_question":
                Problem(409, "not_a_question", "This message is a reply; only the user's own can be edited.")
            case "not_a_reply": Message.notAReply
            case "reply_unfinished":
                Problem(409, "reply_unfinished", "This reply is not finished; cancel it, or wait for its end.")
            case "not_cut_off":
                Problem(409, "not_cut_off", "This reply was not cut off; there is nothing to continue.")
            case "question_gone":
                Problem(409, "question_gone", "What this answers is older than messages are kept; ask it again.")
            case "attachments_taken":
                invalid("attachments", "must be of your own attachments that no message has yet")
            case "attachments_too_large":
                invalid("attachments", "must have at most \(Attachment.longestOfMessage >> 20) MB together")
            case "attachments_not_there": invalid("attachments", "must be of the message's own attachments")
            case "plan_forbids": planForbids
            // Accounts
            case "mobile_taken": Problem(409, "mobile_taken", "This number has an account; sign in instead.")
            case "signup_limit_reached": try signupLimitReached(refusal.details())
            case "otp_too_soon", "otp_limit", "otp_budget": try otpRefused(refusal.word, refusal.details())
            case "otp_invalid": try otpInvalid(left: refusal.details(TriesLeft.self).count)
            case "otp_superseded": try otpSuperseded(left: refusal.details(TriesLeft.self).count)
            case "login_too_soon": try loginTooSoon(seconds: refusal.details(SecondsToWait.self).count)
            case "credentials_invalid": credentialsInvalid
            case "current_password_wrong": currentPasswordWrong
            case "current_password_missing": invalid("current_password", "is missing")
            case "reauthentication_required":
                Problem(
                    403, "reauthentication_required",
                    "To set a first password, sign in by a code and do it within five minutes.")
            case "refresh_invalid": RefreshToken.invalid
            case "refresh_reused":
                unauthorized(
                    "refresh_reused", "The refresh token was used before, so its session has been ended; sign in again."
                )
            case "timezone_unknown": invalid("timezone", TimeZoneName.unknown)
            // Rooms, files, links and exports
            case "no_word": invalid("q", "must hold a word to look for")
            case "file_too_large": fileTooLarge(try refusal.details(OfPlan.self).plan)
            case "storage_full": storageFull(try refusal.details(OfPlan.self).plan)
            case "attachment_sent":
                Problem(409, "attachment_sent", "A message has this attachment; it goes when the message does.")
            case "share_too_large": Problem(409, "share_too_large", "This room has become too long to be shared.")
            case "too_many_shares":
                Problem(409, "too_many_shares", "You share as much as can be shared; revoke something first.")
            case "not_shared": Problem(404, "not_found", "Nothing is shared under this link, or not any more.")
            case "export_running":
                Problem(
                    429, "export_running", "An export of yours is being made; wait until it has ended.",
                    headers: [("Retry-After", "10")])
            // Plans
            case "no_subscription": noSubscription
            case "already_pro": alreadyPro
            case "payment_due": Subscription.Notice.paymentDue.problem
            case "subscription_paused": Subscription.Notice.paused.problem
            case "collection_paused": Subscription.Notice.collectionPaused.problem
            case "refresh_too_soon":
                Problem(
                    429, "refresh_too_soon", "This was refreshed a moment ago; wait as long as Retry-After says.",
                    headers: [("Retry-After", String(try refusal.details(Pause.self).seconds))])
            default: throw DatabaseError.mismatch("a function gave the verdict \(refusal.word)")
            }
        problem.headers += Standing.headers(standing)
        return problem
    }

    private struct OfPlan: Decodable {
        let tier: String
        var plan: Plan { Plan.of(tier: tier) }
    }

    private struct Counted: Decodable { let standing: Standing? }
    private struct Pause: Decodable { let seconds: Int }
}
