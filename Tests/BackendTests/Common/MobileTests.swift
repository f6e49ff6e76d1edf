import Common
import TestSupport
import Testing

/// One number has one account, however it is written.
@Suite(.threads)
struct MobileTests {
    static let spellings = [
        "+919876543210", "919876543210", "00919876543210", "011919876543210", "011 91 98765 43210",
        "+91 (0) 98765 43210", "0091 (0)98765-43210", "09876543210", "(0)98765 43210", "9876543210",
        "(+91) 98765.43210",
        "\u{202A}+91\u{A0}98765\u{2011}43210\u{202C}", "\u{200E}+91 98765 43210\u{FEFF}",
        "+91\u{2009}98765\u{2013}43210\t",
    ]

    @Test
    func `All spellings of a number are one number`() throws {
        let backend = try Backend(["DEFAULT_COUNTRY": "+91", "OTP_RESEND_SECONDS": "0"])
        for spelling in Self.spellings {
            let answer = try backend.call("signup", body: ["mobile": .string(spelling)])
            #expect(answer.json["user"]["mobile"] == "+919876543210", "\(spelling) \(answer.text)")
        }
        let database = backend.database.connect()
        #expect(try database.row(Int.self, "select count(*) from users") == 1)
        let person = try backend.signIn(mobile: "+919876543210", password: "correct horse")
        for spelling in Self.spellings {
            #expect(try backend.call("signup", body: ["mobile": .string(spelling)]).status == 409, "\(spelling)")
            let login = try backend.call("login", body: ["mobile": .string(spelling), "password": "correct horse"])
            #expect(login.json["user"]["id"].text == person.id, "\(spelling) \(login.text)")
        }
        for spelling in Self.spellings.prefix(8) {
            try database.execute("delete from otp_sends")
            let code = try backend.call("send-otp", body: ["mobile": .string(spelling)]).json["otp"]
            let answer = try backend.call("verify-otp", body: ["mobile": "+919876543210", "otp": code])
            #expect(answer.json["user"]["id"].text == person.id, "\(spelling) \(answer.text)")
            let reset = try backend.call("forgot-password", body: ["mobile": "+919876543210"]).json["otp"]
            let body: JSONValue = ["mobile": .string(spelling), "otp": reset, "new_password": "correct horse"]
            #expect(try backend.call("reset-password", body: body).status == 204, "\(spelling)")
        }
        #expect(try database.row(Int.self, "select count(*) from users") == 1)
    }

    @Test(arguments: [
        ("+1", "10", "(415) 555-2671", "+14155552671"), ("+1", "10", "1 415 555 2671", "+14155552671"),
        ("+1", "10", "011 44 7911 123456", "+447911123456"), ("+44", "10", "07911 123456", "+447911123456"),
        ("+44", "10", "0044 7911 123456", "+447911123456"), ("+44", "10", "4915112345678", "+4915112345678"),
        ("+45", "8", "20 12 34 56", "+4520123456"), ("+45", "8", "4520123456", "+4520123456"),
        ("+86", "11", "138 1234 5678", "+8613812345678"), ("+60", "9", "011-1234 5678", "+601112345678"),
        ("+91", "10", "9198765432", "+919198765432"), ("", "10", "9876543210", "+9876543210"),
    ])
    func `A national number is of the country of DEFAULT_COUNTRY`(
        country: String, digits: String, written: String, number: String
    ) throws {
        let backend = try Backend(["DEFAULT_COUNTRY": country, "NATIONAL_DIGITS": digits])
        let answer = try backend.call("signup", body: ["mobile": .string(written)])
        #expect(answer.json["user"]["mobile"].text == number, "\(answer.text)")
    }

    @Test
    func `Without DEFAULT_COUNTRY a national number is refused, and so is a country code of 0`() throws {
        let backend = try Backend()
        for written in [
            "0701234567", "(0)70 123 45 67", "+0701234567", "+00919876543210", "000919876543210", "011 2345 6789",
        ] {
            for endpoint in ["signup", "send-otp", "forgot-password"] {
                let answer = try backend.call(endpoint, body: ["mobile": .string(written)])
                expectProblem(answer, 422, "invalid", written)
                #expect(
                    answer.json["errors"][0]["detail"]
                        == "must begin with + and the country code, as in +91 98765 43210")
            }
        }
        #expect(try backend.database.connect().row(Int.self, "select count(*) from users") == 0)
    }

    @Test(arguments: ["+९१९८७६५४३२१०", "+٩١٩٨٧٦٥٤٣٢١٠", "＋９１９８７６５４３２１０", "+91９876543210", "９１９８７６５４３２１０"])
    func `Digits of other scripts are refused by name`(written: String) throws {
        let answer = try Backend().call("signup", body: ["mobile": .string(written)])
        expectProblem(answer, 422, "invalid")
        #expect(answer.json["errors"][0]["field"] == "mobile")
        if !written.hasPrefix("＋") {
            #expect(answer.json["errors"][0]["detail"] == "must be written with the digits 0 to 9")
        }
    }

    @Test(arguments: ["", "+46"])
    func `Whoever has an account under a number that was stored in another form still signs in`(country: String) throws
    {
        let backend = try Backend(["DEFAULT_COUNTRY": country])
        let database = backend.database.connect()
        for number in ["+0701234567", "+4402079460958"] {
            try database.execute(
                """
                insert into users (mobile, mobile_verified_at, password_hash)
                values (\(number), now(), \(try Password.hash("correct horse")))
                """)
        }
        for (written, stored) in [
            ("070 123 45 67", "+0701234567"), ("+070 123 45 67", "+0701234567"),
            ("+44 (0)20 7946 0958", "+4402079460958"),
        ] {
            try database.execute("delete from otp_sends")
            let login = try backend.call("login", body: ["mobile": .string(written), "password": "correct horse"])
            #expect(login.json["user"]["mobile"].text == stored, "\(written) \(login.text)")
            let code = try backend.call("send-otp", body: ["mobile": .string(written)]).json["otp"]
            let proof: JSONValue = ["mobile": .string(written), "otp": code]
            #expect(try backend.call("verify-otp", body: proof).json["user"]["mobile"].text == stored)
            expectProblem(try backend.call("signup", body: ["mobile": .string(written)]), 409, "mobile_taken")
        }
    }

    @Test
    func `Numbers that were stored with an international prefix are renamed, where nobody else has the normal one`()
        throws
    {
        let backend = try Backend()
        let database = backend.database.connect()
        for (number, isProven) in [
            ("+00919876543210", true), ("+011919876543211", true), ("+919876543211", false), ("+00919876543212", true),
            ("+919876543212", true), ("+00919876543213", false), ("+011234567", true), ("+0701234567", true),
        ] {
            try database.execute(
                """
                insert into users (mobile, mobile_verified_at, username)
                values (\(number), case when \(isProven) then now() end, \(number))
                """)
        }
        try database.execute("delete from migrations where name = 'number_forms'")
        let worker = try Executable(
            "cron-worker", ["--migrate"], environment: backend.settings, folder: backend.folder.path)
        #expect(try worker.wait() == .code(0), "\(worker.error)")
        let numbers = try database.rows(
            String.self, "select username || ' ' || mobile from users order by username collate \"C\"")
        #expect(
            numbers == [
                "+00919876543210 +919876543210", "+00919876543212 +00919876543212", "+00919876543213 +919876543213",
                "+011234567 +011234567", "+011919876543211 +919876543211", "+0701234567 +0701234567",
                "+919876543212 +919876543212",
            ])
    }

    @Test
    func `A country code that is none ends the process at its start`() throws {
        let folder = try Folder()
        for country in ["91", "+", "+091", "+91234", "++9", "India"] {
            let process = try Executable("signup", environment: ["DEFAULT_COUNTRY": country], folder: folder.path)
            #expect(try process.wait() == .code(78), "\(country)")
            #expect(process.error.contains("DEFAULT_COUNTRY"))
        }
    }
}
