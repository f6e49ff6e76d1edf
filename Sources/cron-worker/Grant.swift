import ArgumentParser
import Common

/// Pro that the operator gives, without Stripe.
enum Grant {

    @Sendable static func mobile(_ text: String) throws -> WrittenMobile {
        do { return try WrittenMobile(text) } catch {
            throw ValidationError("\(text) is no mobile number: it \(error.rawValue).")
        }
    }

    /// What was done, as a sentence.
    static func give(to mobile: Mobile, until: String?, _ database: Database) throws -> String {
        if let until, until.wholeMatch(of: /[0-9]{4}-[0-9]{2}-[0-9]{2}/) == nil {
            throw ValidationError("\(until) is no date such as 2027-01-31.")
        }
        let given: String?
        do {
            given = try database.row(
                String.self,
                """
                insert into pro_grants as g (user_id, until)
                select u.id, e.until from users u, (select coalesce(\(until)::date::timestamp at time zone 'UTC', 'infinity')) e (until)
                where u.mobile = \(mobile) and e.until > now()
                on conflict (user_id) do update set until = excluded.until, granted_at = now()
                returning until
                """)
        } catch DatabaseError.refused(let state, _, _) where state.hasPrefix("22") {
            throw ValidationError("\(until ?? "") is no date such as 2027-01-31.")
        }
        guard given != nil else {
            try requireAccount(mobile, database)
            throw ValidationError("\(until ?? "") is over.")
        }
        return "\(mobile.digits) is Pro\(until.map { " until \($0)" } ?? " until it is taken back")"
    }

    /// What was done, as a sentence.
    static func takeBack(from mobile: Mobile, _ database: Database) throws -> String {
        let taken = try database.execute(
            "delete from pro_grants g using users u where u.mobile = \(mobile) and g.user_id = u.id")
        guard taken > 0 else {
            try requireAccount(mobile, database)
            return "\(mobile.digits) had not been given Pro"
        }
        let tier = try database.row(
            String.self, "select tier(u) from users u where u.mobile = \(mobile)")
        return "\(mobile.digits) is \(tier == "pro" ? "Pro still, by a subscription" : "Basic")"
    }

    private static func requireAccount(_ mobile: Mobile, _ database: Database) throws {
        guard try database.row(Int.self, "select 1 from users where mobile = \(mobile)") != nil else {
            throw ValidationError("\(mobile.digits) has no account.")
        }
    }
}
