import TestSupport
import Testing

@Suite(.threads)
struct UpdateMeTests {
    let backend: Backend
    let person: Backend.Person

    init() throws {
        backend = try Backend()
        person = try backend.signIn()
    }

    @Test
    func `What is named is changed and the rest stays`() throws {
        let answer = try update(["username": "Asha", "timezone": "Asia/Kolkata"])
        #expect(answer.status == 200)
        #expect(answer.json["user"]["id"].text == person.id)
        #expect(answer.json["user"]["username"] == "Asha" && answer.json["user"]["timezone"] == "Asia/Kolkata")
        #expect(try update(["timezone": "UTC"]).json["user"]["username"] == "Asha")
        #expect(try update(["username": "Asha N"]).json["user"]["timezone"] == "UTC")
        let unchanged = try update([:])
        #expect(unchanged.status == 200 && unchanged.json["user"]["username"] == "Asha N")
        #expect(try backend.call("get-me", token: person.token).json == unchanged.json)
    }

    @Test
    func `A name that is null is taken away`() throws {
        _ = try update(["username": "Asha"])
        #expect(try update(["username": .null]).json["user"]["username"] == .null)
    }

    @Test
    func `How long messages are kept is a number of days, or for ever`() throws {
        #expect(try backend.call("get-me", token: person.token).json["user"]["retention_days"] == .null)
        for days: JSONValue in [1, 3650, .null] {
            #expect(try update(["retention_days": days]).json["user"]["retention_days"] == days)
            #expect(try update(["username": "Asha"]).json["user"]["retention_days"] == days)
        }
        for days: JSONValue in [0, 3651, -1, .number(1.5), "30", true, [], .number(1e30)] {
            let answer = try update(["retention_days": days])
            expectProblem(answer, 422, "invalid")
            #expect(answer.json["errors"][0]["field"] == "retention_days")
        }
    }

    @Test
    func `Nobody else is changed`() throws {
        let other = try backend.signIn()
        _ = try update(["username": "Asha"])
        #expect(try backend.call("get-me", token: other.token).json["user"]["username"] == .null)
    }

    @Test(arguments: [
        "Europe/Berlin", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Africa/Porto-Novo", "Etc/GMT+12",
        "Etc/GMT-14", "Antarctica/DumontDUrville", "America/Blanc-Sablon", "UTC", "Etc/UTC",
    ])
    func `Names of the IANA are taken`(name: String) throws {
        #expect(try update(["timezone": .string(name)]).json["user"]["timezone"].text == name)
    }

    @Test(arguments: [
        "", "Mars/Base", "Europe", "Europe/", "/Berlin", "IST", "PST", "X+3", "+05:30", "5", "America/Nowhere+3",
        "Etc/GMT+13", "Etc/GMT-15", "Etc/GMT+99", "<A/B>3", "right/Europe/Berlin", "posix/Europe/Berlin", "localtime",
        "../etc/passwd", "Europe/../Europe/Berlin", "Europe/Berlin ", "Europe/Berlin\n", "Zürich/Zürich", "A/B-3",
        "Area/Place-not", "EST5EDT4,M3.2.0,M11.1.0", "America/Porto-Novo",
    ])
    func `What is no such name is refused`(name: String) throws {
        let answer = try update(["timezone": .string(name)])
        expectProblem(answer, 422, "invalid", name)
        #expect(answer.json["errors"][0]["field"] == "timezone")
        #expect(try backend.call("get-me", token: person.token).json["user"]["timezone"] == "UTC")
    }

    @Test(arguments: [.null, 1, true, [], [:]] as [JSONValue])
    func `A time zone is always a text`(value: JSONValue) throws {
        let answer = try update(["timezone": value])
        expectProblem(answer, 422, "invalid")
        #expect(answer.json["errors"][0]["field"] == "timezone")
    }

    @Test
    func `Nothing is changed where one of several is refused`() throws {
        expectProblem(try update(["username": "Asha", "timezone": "Mars/Base"]), 422, "invalid")
        #expect(try backend.call("get-me", token: person.token).json["user"]["username"] == .null)
    }

    @Test
    func `Every name that passes is one of Postgres's list`() throws {
        let database = backend.database.connect()
        let names = try database.rows(
            String.self,
            "select name from pg_timezone_names where name like '%/%' and name !~ '^(posix|right|SystemV)/' order by name"
        )
        #expect(names.count > 300)
        // Of those without a digit none is refused; a digit is for Etc alone.
        for name in names where !name.contains(where: \.isNumber) {
            #expect(try update(["timezone": .string(name)]).status == 200, "\(name)")
        }
    }

    private func update(_ body: JSONValue) throws -> Answer {
        try backend.call("update-me", token: person.token, body: body)
    }
}
