import Common
import Foundation
import TestSupport
import Testing

/// When messages may be sent again, and that counting them costs little.
extension QuotaTests {
    // MARK: The day

    @Test(arguments: ["UTC", "Asia/Kolkata", "Etc/GMT-14", "Etc/GMT+12", "America/New_York"])
    func `The day turns at midnight in the user's time zone`(zone: String) throws {
        let world = try Quotas(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "1"])
        try world.move(to: zone)
        let answer = try world.send("Hello")
        let midnight = try #require(answer.json["quota"]["resets_at"].text)
        let (local, seconds) = try #require(
            try world.database.row(
                Midnight.self,
                """
                select to_char(\(midnight)::timestamptz at time zone \(zone), 'HH24:MI:SS') as local,
                    extract(epoch from \(midnight)::timestamptz - now())::int as seconds
                """)
        ).both
        #expect(local == "00:00:00" && (0...90_000).contains(seconds))
        let refused = try world.send("Hello")
        expectProblem(refused, 429, "daily_limit_reached")
        let wait = try #require(refused.header("Retry-After").flatMap { Int($0) })
        #expect((seconds - 10...seconds + 2).contains(wait))
        #expect(refused.header("RateLimit")?.hasPrefix("\"day\";r=0;t=\(wait)") == true)
        // A day later.
        try world.database.script(
            "update jobs set day = day - 1; update ledger set day = day - 1; update usage_days set day = day - 1")
        #expect(try world.send("Hello").status == 202)
        expectProblem(try world.send("Hello"), 429, "daily_limit_reached")
        try world.expectAgreement()
    }

    @Test
    func `Who moves to another zone, back and on, has used what they had, until midnight there`() throws {
        let world = try Quotas([
            "LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "2", "PLAN_BASIC_MESSAGES_PER_MINUTE": "0",
        ])
        // It is never the same day in the first two.
        let zones = ["Etc/GMT+12", "Etc/GMT-14", "Asia/Kolkata", "Etc/GMT+12", "UTC", "Etc/GMT-14"]
        try world.move(to: "Etc/GMT-14")
        #expect(try world.send("Hello").json["quota"]["used"] == 1)
        try world.move(to: "Etc/GMT+12")
        #expect(try world.send("Hello").json["quota"]["used"] == 2)
        for zone in zones {
            try world.move(to: zone)
            let refused = try world.send("Hello")
            expectProblem(refused, 429, "daily_limit_reached")
            let daily = try world.backend.call("get-usage", token: world.person.token).json["daily"]
            #expect(daily["used"] == 2 && daily["remaining"] == 0)
            let end = try #require(daily["resets_at"].text)
            let (local, seconds) = try #require(
                try world.database.row(
                    Midnight.self,
                    """
                    select to_char(\(end)::timestamptz at time zone \(zone), 'HH24:MI:SS') as local,
                        extract(epoch from \(end)::timestamptz - now())::int as seconds
                    """)
            ).both
            #expect(local == "00:00:00" && seconds > 0)
            let wait = try #require(refused.header("Retry-After").flatMap { Int($0) })
            #expect((seconds - 10...seconds + 2).contains(wait))
        }
        try world.expectAgreement()
        // When it has ended.
        try world.database.execute("update users set usage_day_until = now()")
        try world.database.script(
            "update jobs set day = day - 2; update ledger set day = day - 2; update usage_days set day = day - 2")
        #expect(try world.send("Hello").json["quota"]["used"] == 1)
        try world.expectAgreement()
    }

    @Test
    func `Messages that are sent while the zone changes are no more than without`() throws {
        let world = try Quotas(
            ["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "3", "PLAN_BASIC_MESSAGES_PER_MINUTE": "0"], processes: 4)
        try world.move(to: "Etc/GMT-14")
        #expect(try world.send("Hello").status == 202)
        let statuses = try concurrently(24) { index -> Int in
            guard index % 4 == 0 else { return try world.send("Hello").status }
            try world.move(to: ["Etc/GMT+12", "UTC", "Etc/GMT-14"][index / 4 % 3])
            return 200
        }
        #expect(statuses.count { $0 == 202 } == 2, "\(statuses)")
        try world.expectAgreement()
    }

    @Test
    func `A day is cut short by a move once a week`() throws {
        let world = try Quotas(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "1"])
        #expect(try world.send("Hello").status == 202)
        // An hour further east of noon the day ends an hour earlier, an hour further still two.
        for (hours, isWhole) in [(1, false), (2, true)] {
            let zone = try #require(
                try world.database.row(
                    String.self,
                    """
                    select 'Etc/GMT' || to_char(extract(hour from now() at time zone 'UTC') - 12 - \(hours)::int, 'FMSG99')
                    """))
            try world.move(to: zone)
            let row = try world.database.row(Bool.self, "select usage_day_until >= usage_day_end from users")
            #expect(row == isWhole, "\(zone)")
        }
        // A week later.
        try world.database.execute(
            """
            update users set timezone = 'Etc/GMT' || to_char(extract(hour from now() at time zone 'UTC') - 12, 'FMSG99'),
                usage_day_until = now() - interval '8 days'
            """)
        try world.move(
            to: try #require(
                try world.database.row(
                    String.self,
                    "select 'Etc/GMT' || to_char(extract(hour from now() at time zone 'UTC') - 13, 'FMSG99')")))
        #expect(try world.database.row(Bool.self, "select usage_day_until < usage_day_end from users") == true)
    }

    @Test
    func `The next day begins at the first midnight of a later date, across the date line and where clocks change`()
        throws
    {
        let backend = try Backend()
        let database = backend.database.connect()
        for (ended, day, zone, expected) in [
            ("2026-12-01 00:00+00", "2026-11-30", "UTC", "2026-12-01 00:00+00"),
            ("2026-12-01 00:00+00", "2026-11-30", "Asia/Kolkata", "2026-12-01 18:30+00"),
            ("2026-12-01 11:00+00", "2026-12-01", "America/Los_Angeles", "2026-12-02 08:00+00"),
            // The same date begins again a day after it began.
            ("2026-12-01 10:00+00", "2026-12-01", "Pacific/Pago_Pago", "2026-12-02 11:00+00"),
            ("2026-12-01 12:00+00", "2026-11-30", "Pacific/Kiritimati", "2026-12-02 10:00+00"),
            // In a day of 23 hours, in one of 25, and where it is never midnight.
            ("2026-03-28 23:00+00", "2026-03-28", "Europe/Berlin", "2026-03-28 23:00+00"),
            ("2026-03-29 10:00+00", "2026-03-29", "Europe/Berlin", "2026-03-29 22:00+00"),
            ("2026-10-25 10:00+00", "2026-10-25", "Europe/Berlin", "2026-10-25 23:00+00"),
            ("2026-09-05 10:00+00", "2026-09-05", "America/Santiago", "2026-09-06 04:00+00"),
        ] {
            let isSo = try database.row(
                Bool.self,
                "select next_usage_day(\(ended)::timestamptz, \(day)::date, \(zone)) = \(expected)::timestamptz")
            #expect(isSo == true, "\(ended) \(day) \(zone)")
        }
        withExtendedLifetime(backend) {}
    }

    @Test
    func `A reply is charged to the day in which it was asked for`() throws {
        let world = try Quotas(QuotaTests.basic)
        #expect(try world.send("Hello").status == 202)
        try world.database.script(
            "update jobs set day = day - 1; update ledger set day = day - 1; update usage_days set day = day - 1")
        let worker = try world.backend.worker()
        try eventually("the reply") { try world.count("jobs") == 0 }
        #expect(
            try world.database.rows(
                Int.self,
                """
                select (now() at time zone u.timezone)::date - d.day
                from usage_days d join users u on u.id = d.user_id where d.charged = 1
                """) == [1])
        try world.expectAgreement(used: 0)
        withExtendedLifetime(worker) {}
    }

    // MARK: The minute, and none

    @Test
    func `A minute's worth may come at once, and more has to wait until there is room for it`() throws {
        let settings = ["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "0", "PLAN_BASIC_MESSAGES_PER_MINUTE": "3"]
        let world = try Quotas(settings, processes: 4)
        let began = now()
        let answers = try world.sendAtOnce(20)
        let passed = Int(now() - began)
        #expect((3...3 + passed / 20).contains(answers.count { $0.status == 202 }))
        for refused in answers.filter({ $0.status != 202 }) {
            expectProblem(refused, 429, "rate_limited")
            #expect((1...20).contains(refused.header("Retry-After").flatMap { Int($0) } ?? 0))
            #expect(refused.header("RateLimit-Policy") == "\"minute\";q=3;w=60")
        }
        // That it was given back makes no room, that time has passed does.
        let worker = try world.backend.worker()
        try eventually("the replies") { try world.count("jobs") == 0 }
        try world.database.execute("update usage_days set free_at = now() + interval '55 seconds' where reserved > 0")
        let refused = try world.send("Hello")
        expectProblem(refused, 429, "rate_limited")
        #expect((1...15).contains(refused.header("Retry-After").flatMap { Int($0) } ?? 0))
        #expect(refused.header("RateLimit")?.hasPrefix("\"minute\";r=0;t=") == true)
        try world.database.execute("update usage_days set free_at = now() + interval '40 seconds' where reserved > 0")
        let next = try world.send("Hello")
        #expect(next.status == 202 && next.header("RateLimit")?.hasPrefix("\"minute\";r=0;t=") == true)
        #expect(next.json["quota"]["limit"] == .null)
        try world.expectAgreement(used: answers.count { $0.status == 202 } + 1)
        withExtendedLifetime(worker) {}
    }

    @Test(arguments: [7, 13, 60, 997])
    func `The minute has room for exactly so many, whatever part of it each has`(perMinute: Int) throws {
        let settings = [
            "LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "0", "PLAN_BASIC_MESSAGES_PER_MINUTE": "\(perMinute)",
        ]
        let world = try Quotas(settings)
        let first = try world.send("Hello")
        #expect(first.header("RateLimit") == "\"minute\";r=\(perMinute - 1);t=\((59 + perMinute) / perMinute)")
        // As if all but one had been sent just now.
        try world.database.execute(
            """
            update usage_days set free_at = clock_timestamp() + (\(perMinute - 1) * trunc(60000000 / \(perMinute)::int)
                * interval '1 microsecond')
            """)
        let last = try world.send("Hello")
        #expect(last.status == 202 && last.header("RateLimit")?.hasPrefix("\"minute\";r=0;") == true)
    }

    @Test
    func `How the limits stand is said of each plan, and nothing where there is none`() throws {
        let world = try Quotas(["LIMITS": "on", "PLAN_PRO_MESSAGES_PER_DAY": "0", "PLAN_PRO_MESSAGES_PER_MINUTE": "0"])
        let basic = try world.send("Hello")
        #expect(basic.json["quota"]["limit"] == 5 && basic.json["quota"]["used"] == 1)
        #expect(basic.json["quota"]["remaining"] == 4)
        #expect(basic.header("RateLimit-Policy") == "\"day\";q=5;w=86400, \"minute\";q=10;w=60")
        #expect(basic.header("RateLimit")?.hasSuffix("\"minute\";r=9;t=6") == true)
        try world.backend.upgrade(world.person)
        for _ in 0..<12 {
            let pro = try world.send("Hello")
            #expect(pro.status == 202 && pro.header("RateLimit") == nil)
            #expect(pro.json["quota"].names == ["limit", "used", "remaining", "resets_at"])
            #expect(pro.json["quota"]["limit"] == .null && pro.json["quota"]["used"] == .null)
            #expect(pro.json["quota"]["resets_at"] == .null)
        }
        try world.expectAgreement(used: 13)
    }

    @Test
    func `Nothing that counts reads a table whole`() throws {
        let world = try Quotas(["LIMITS": "on"])
        try world.database.script("select pg_stat_reset()")
        for key in ["one", "one", "two"] { _ = try world.send("Hello", headers: ["Idempotency-Key": key]) }
        for endpoint in ["get-usage", "list-ledger"] {
            #expect(try world.backend.call(endpoint, token: world.person.token).status == 200)
        }
        // What a connection has counted is sure to be known when it has ended.
        for endpoint in ["send-message", "get-usage", "list-ledger"] {
            for process in try world.backend.endpoint(endpoint).processes {
                process.terminate()
                try process.wait()
            }
        }
        let names = "('ledger', 'usage_days', 'jobs', 'users', 'messages', 'idempotency_keys', 'chatrooms', 'sessions')"
        func tables(_ condition: String) throws -> [String] {
            try world.database.rows(
                String.self,
                SQL(made: "select relname from pg_stat_user_tables where relname in \(names) and \(condition)")
            )
        }
        try eventually("what they counted") { try tables("idx_scan > 0").count >= 6 }
        #expect(try tables("seq_scan > 0") == [])
    }

    @Test
    func `Nobody's quota is another's`() throws {
        let world = try Quotas(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "1"])
        let other = try world.backend.signIn()
        #expect(try world.send("Hello").status == 202)
        #expect(try world.backend.post("Hello", world.backend.room(other), other) != "")
        expectProblem(try world.send("Hello"), 429, "daily_limit_reached")
    }
}

private struct Midnight: Decodable {
    let local: String
    let seconds: Int
    var both: (String, Int) { (local, seconds) }
}
