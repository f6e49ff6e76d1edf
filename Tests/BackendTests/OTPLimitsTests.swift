import Common
import Foundation
import TestSupport
import Testing

/// How many codes are sent, whatever they are for.
@Suite(.threads)
struct OTPLimitsTests {
    private func send(_ backend: Backend, _ mobile: String, by endpoint: String = "send-otp") throws -> Answer {
        try backend.call(endpoint, body: ["mobile": .string(mobile)])
    }

    /// Has all that was sent be sent so much earlier.
    private func pass(_ interval: String, in backend: Backend) throws {
        try backend.database.connect().execute(
            "update otp_sends set sent = array(select t - \(interval)::interval from unnest(sent) t)")
    }

    private func expectRefusal(
        _ answer: Answer, _ status: Int, _ code: String, within seconds: ClosedRange<Double>,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        expectProblem(answer, status, code, sourceLocation: sourceLocation)
        let wait = answer.json["resend_in"].number ?? -1
        #expect(seconds.contains(wait), "\(answer.text)", sourceLocation: sourceLocation)
        #expect(answer.header("Retry-After") == String(Int(wait)), sourceLocation: sourceLocation)
    }

    @Test
    func `Of five in ten minutes the fifth tells how long the next has to wait, and the sixth is refused`() throws {
        let backend = try Backend()
        for number in 1...5 {
            let answer = try send(backend, "+919876543210")
            #expect(answer.status == 200)
            let wait = answer.json["resend_in"].number ?? -1
            if number < 5 { #expect(wait == 60) } else { #expect((300...360).contains(wait)) }
            try pass("61 seconds", in: backend)
        }
        expectRefusal(try send(backend, "+919876543210"), 429, "otp_limit", within: 200...299)
        #expect(try send(backend, "+919876543211").status == 200)
        try pass("5 minutes", in: backend)
        #expect(try send(backend, "+919876543210").status == 200)
    }

    @Test
    func `Ten in a day are all`() throws {
        let backend = try Backend()
        for _ in 0..<10 {
            #expect(try send(backend, "+919876543210").status == 200)
            try pass("11 minutes", in: backend)
        }
        expectRefusal(try send(backend, "+919876543210"), 429, "otp_limit", within: 78_000...79_800)
        try pass("23 hours", in: backend)
        #expect(try send(backend, "+919876543210").status == 200)
    }

    @Test
    func `What one address has used up is there for others, seven in ten minutes and twelve in a day for all`() throws {
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        func statuses(_ count: Int, from address: String) throws -> [Int] {
            try (0..<count).map { _ in
                try backend.call(
                    "send-otp", path: ["REMOTE_ADDR": address], body: ["mobile": "+919876543210"]
                ).status
            }
        }
        #expect(try statuses(6, from: "203.0.113.1") == [200, 200, 200, 200, 200, 429])
        #expect(try statuses(3, from: "203.0.113.2") == [200, 200, 429])
        #expect(try statuses(1, from: "203.0.113.3") == [429])
        try pass("11 minutes", in: backend)
        #expect(try statuses(6, from: "203.0.113.1") == [200, 200, 200, 200, 200, 429])
        try pass("11 minutes", in: backend)
        #expect(try statuses(1, from: "203.0.113.2") == [429])
        try pass("1 day", in: backend)
        #expect(try statuses(1, from: "203.0.113.2") == [200])
    }

    @Test
    func `A device that the owner has used has three of its own a day`() throws {
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"])
        let mobile = Backend.mobile()
        _ = try backend.call("signup", body: ["mobile": .string(mobile)])
        let person = try backend.signIn(mobile: mobile, from: "192.0.2.1", agent: "of the owner")
        func status(from address: String, agent: String = "of the owner", by endpoint: String = "send-otp") throws
            -> Int
        {
            try backend.call(
                endpoint, path: ["REMOTE_ADDR": address], body: ["mobile": .string(person.mobile)],
                headers: ["User-Agent": agent]
            ).status
        }
        for address in 1...12 {
            _ = try status(from: "203.0.113.\(address)")
            try pass("5 minutes", in: backend)
        }
        #expect(try status(from: "203.0.113.99") == 429 && status(from: "192.0.2.1", agent: "another") == 429)
        #expect(
            try ["send-otp", "forgot-password", "send-otp", "send-otp"].map { try status(from: "192.0.2.1", by: $0) }
                == [200, 200, 200, 429])
        // Not one more for strangers.
        #expect(try status(from: "203.0.113.98") == 429)
        try pass("1 day", in: backend)
        #expect(try status(from: "203.0.113.98") == 200)
    }

    @Test
    func `What the codes are for makes no difference`() throws {
        let backend = try Backend()
        #expect(try send(backend, "+919876543210").status == 200)
        expectRefusal(
            try send(backend, "+919876543210", by: "forgot-password"), 429, "otp_too_soon", within: 1...60)
        try pass("1 minute", in: backend)
        for endpoint in ["forgot-password", "send-otp", "forgot-password", "send-otp"] {
            #expect(try send(backend, "+919876543210", by: endpoint).status == 200)
            try pass("1 minute", in: backend)
        }
        for endpoint in ["forgot-password", "send-otp"] {
            expectRefusal(try send(backend, "+919876543210", by: endpoint), 429, "otp_limit", within: 200...300)
        }
    }

    @Test
    func `Of twenty at once, over both purposes and several processes, one is sent`() throws {
        let backend = try Backend(processes: 4)
        let answers = try concurrently(20) { number in
            try send(backend, "+919876543210", by: number % 2 == 0 ? "send-otp" : "forgot-password")
        }
        #expect(answers.filter { $0.status == 200 }.count == 1)
        #expect(answers.filter { $0.json["code"] == "otp_too_soon" }.count == 19)
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from otps") == 1)
        #expect(try database.row(Int.self, "select cardinality(sent) from otp_sends") == 1)
    }

    @Test
    func `Of many at once for one number without a wait, five are sent`() throws {
        let backend = try Backend(["OTP_RESEND_SECONDS": "0"], processes: 4)
        let answers = try concurrently(40) { _ in try send(backend, "+919876543210") }
        #expect(answers.filter { $0.status == 200 }.count == 5)
        #expect(answers.filter { $0.json["code"] == "otp_limit" }.count == 35)
    }

    @Test
    func `An address has so many in an hour, at once or one after the other, and a refused one counts for nothing`()
        throws
    {
        let backend = try Backend(["OTP_PER_ADDRESS_HOUR": "7"], processes: 4)
        let answers = try concurrently(20) { _ in try send(backend, Backend.mobile()) }
        #expect(answers.filter { $0.status == 200 }.count == 7)
        let refused = answers.filter { $0.status != 200 }
        #expect(refused.count == 13)
        for answer in refused { expectRefusal(answer, 429, "otp_limit", within: 3400...3600) }
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from otps") == 7)
        // The numbers of those who were refused may get one at once.
        #expect(
            try database.row(Int.self, "select sum(cardinality(sent)) from otp_sends where key like 'mobile:%'") == 7)
        try pass("1 hour", in: backend)
        #expect(try send(backend, Backend.mobile()).status == 200)
    }

    @Test
    func `Addresses of one network of IPv6 are one, others are others`() throws {
        let backend = try Backend(["OTP_PER_ADDRESS_HOUR": "2"])
        func send(from address: String) throws -> Int {
            let connection = try FastCGI(backend.endpoint("send-otp").listener.path)
            let body = JSONValue.object(["mobile": .string(Backend.mobile())]).bytes
            var parameters = Backend.parameters(length: body.count, type: "application/json")
            parameters["REMOTE_ADDR"] = address
            connection.sendRequest(parameters, body: body)
            return try connection.answer().status
        }
        #expect(try ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"].map(send) == [200, 200, 429])
        #expect(try ["2001:db8:0:1::1", "192.0.2.1", "192.0.2.1", "192.0.2.2"].map(send) == [200, 200, 200, 200])
        #expect(try ["192.0.2.1", "unix:", "unix:", "unix:"].map(send) == [429, 200, 200, 200])
    }

    @Test
    func `The site has so many in a day, and its operator learns of each that was refused`() throws {
        let backend = try Backend(["OTP_PER_DAY": "3"], processes: 4)
        let answers = try concurrently(12) { _ in try send(backend, Backend.mobile()) }
        #expect(answers.filter { $0.status == 200 }.count == 3)
        for answer in answers where answer.status != 200 {
            expectRefusal(answer, 503, "otp_budget", within: 1...86_400)
        }
        #expect(try backend.database.connect().row(Int.self, "select sent from otp_days") == 3)
        let log = try backend.endpoint("send-otp").processes.map(\.error).joined()
        let lines = log.split(separator: "\n").filter { $0.contains("OTP_PER_DAY") }
        #expect(lines.count == 9 && lines.allSatisfy { $0.contains("\"level\":\"error\"") })
        try backend.database.connect().execute("update otp_days set day = day - 1")
        #expect(try send(backend, Backend.mobile()).status == 200)
    }

    @Test
    func `Only numbers of the operator's countries are signed up and sent codes`() throws {
        let backend = try Backend(["OTP_COUNTRIES": "+91,+1"])
        for endpoint in ["signup", "send-otp", "forgot-password"] {
            for mobile in ["+449876543210", "+929876543210"] {
                let answer = try send(backend, mobile, by: endpoint)
                expectProblem(answer, 422, "invalid")
                #expect(answer.json["errors"][0]["field"] == "mobile")
            }
        }
        #expect(try send(backend, "+919876543210", by: "signup").status == 201)
        #expect(try send(backend, "1 (212) 555-0100").status == 200)
    }

    @Test(arguments: ["91", "+", "+91,x", "+0", "+91 +1"])
    func `A list of countries that is none ends the process`(list: String) throws {
        let backend = try Backend(["OTP_COUNTRIES": list])
        let process = try backend.endpoint("send-otp").processes[0]
        #expect(try process.wait() == .code(78))
        #expect(process.error.contains("OTP_COUNTRIES"))
    }

    @Test
    func `What was counted is forgotten when it limits nothing any more`() throws {
        let backend = try Backend(["OTP_PER_DAY": "100", "OTP_PER_ADDRESS_HOUR": "9"])
        for mobile in ["+919876543210", "+919876543211"] { _ = try send(backend, mobile) }
        let database = backend.database.connect()
        try database.execute(
            "update otp_sends set sent = array[now() - interval '25 hours'] where key <> 'mobile:+919876543211'")
        try database.execute("insert into otp_days values (current_date - 40, 7)")
        #expect(try backend.worker(seconds: 0).wait() == .code(0))
        #expect(try database.rows(String.self, "select key from otp_sends") == ["mobile:+919876543211"])
        #expect(try database.rows(Int.self, "select sent from otp_days") == [2])
    }

    @Test(arguments: ["send-otp", "forgot-password"])
    func `It takes as long for a number with an account as for one without`(endpoint: String) throws {
        let backend = try Backend()
        let count = 300
        // What else runs on the machine may tell the two apart in one measurement; what the handler does would each time.
        var measured: [(isAlike: Bool, figures: String)] = []
        try backend.database.connect().execute(
            "insert into users (mobile) select '+9177' || (10000000 + n) from generate_series(1, \(count)::int) n")
        _ = try send(backend, Backend.mobile(), by: endpoint)
        while measured.count < 4, measured.last?.isAlike != true {
            var known: [Double] = []
            var unknown: [Double] = []
            var bodies: Set<String> = []
            for number in 1...count {
                for (prefix, isKnown) in number % 2 == 0
                    ? [("+9177", true), ("+9188", false)] : [("+9188", false), ("+9177", true)]
                {
                    let start = now()
                    let answer = try send(backend, "\(prefix)\(10_000_000 + number)", by: endpoint)
                    if isKnown { known.append(now() - start) } else { unknown.append(now() - start) }
                    bodies.insert("\(answer.status) \(answer.text.replacing(/[0-9]{6}/, with: "…"))")
                }
            }
            #expect(bodies == [#"200 {"expires_in":300,"resend_in":60,"otp":"…"}"#])
            // Mann and Whitney's U: |z| > 4 comes by chance once in 16,000 times.
            let ranked = (known.map { ($0, true) } + unknown.map { ($0, false) }).sorted { $0.0 < $1.0 }
            let ranks = ranked.enumerated().filter(\.element.1).reduce(0.0) { $0 + Double($1.offset + 1) }
            let (n, m) = (Double(count), Double(count))
            let z = (ranks - n * (n + 1) / 2 - n * m / 2) / (n * m * (n + m + 1) / 12).squareRoot()
            let medians = [known, unknown].map { $0.sorted()[count / 2] * 1_000 }
            measured.append((abs(z) < 4, "z \(z), medians \(medians) ms"))
            // As if it had been long ago.
            try backend.database.connect().execute("delete from otp_sends")
        }
        #expect(measured.last?.isAlike == true, "\(measured.map(\.figures))")
    }
}
