import Common
import TestSupport
import Testing

@Suite(.threads)
struct GetUsageTests {
    @Test
    func `What was sent and answered today is told, with its tokens`() throws {
        let world = try World(["LIMITS": "on"])
        try world.backend.moveToNoon(world.person)
        let worker = try world.backend.worker()
        let first = try world.ask("[sandbox:say] one")
        let second = try world.ask("[sandbox:say] two and more")
        let answer = try world.backend.call("get-usage", token: world.person.token)
        #expect(answer.status == 200)
        let usage = answer.json
        #expect(usage.names == ["tier", "daily", "tokens"] && usage["tier"] == "basic")
        #expect(usage["daily"]["limit"] == 5 && usage["daily"]["used"] == 2 && usage["daily"]["remaining"] == 3)
        for (name, counted) in [("prompt", "prompt_tokens"), ("output", "output_tokens"), ("total", "total_tokens")] {
            let sum = (first["usage"][counted].number ?? 0) + (second["usage"][counted].number ?? 0)
            #expect(usage["tokens"][name].number == sum && sum > 0)
        }
        withExtendedLifetime(worker) {}
    }

    @Test
    func `Who has sent nothing has used nothing`() throws {
        let backend = try Backend(["LIMITS": "on"])
        let usage = try backend.call("get-usage", token: backend.signIn().token).json
        #expect(usage["daily"]["used"] == 0 && usage["daily"]["remaining"] == 5)
        #expect(usage["daily"]["resets_at"].text?.hasSuffix("T00:00:00+00:00") == true)
        #expect(usage["tokens"] == ["prompt": 0, "output": 0, "total": 0])
    }

    @Test
    func `The limit is the plan's, and none is null`() throws {
        let world = try World(["LIMITS": "on", "PLAN_PRO_MESSAGES_PER_DAY": "0"])
        try world.backend.moveToNoon(world.person)
        _ = try world.backend.post("Hello", world.room, world.person)
        try world.backend.upgrade(world.person)
        let daily = try usage(world)["daily"]
        #expect(daily["limit"] == .null && daily["remaining"] == .null && daily["used"] == 1)
        #expect(try usage(world)["tier"] == "pro")
    }

    @Test
    func `After more than a smaller plan allows nothing remains, and not less`() throws {
        let world = try World(["LIMITS": "on", "PLAN_BASIC_MESSAGES_PER_DAY": "1"])
        try world.backend.moveToNoon(world.person)
        try world.backend.upgrade(world.person)
        for _ in 0..<3 { _ = try world.backend.post("Hello", world.room, world.person) }
        try world.backend.downgrade(world.person)
        let daily = try usage(world)["daily"]
        #expect(daily["limit"] == 1 && daily["used"] == 3 && daily["remaining"] == 0)
    }

    @Test
    func `It needs a session`() throws {
        let backend = try Backend()
        expectProblem(try backend.call("get-usage"), 401, "token_missing")
        let person = try backend.signIn()
        _ = try backend.call("logout", token: person.token)
        expectProblem(try backend.call("get-usage", token: person.token), 401, "session_ended")
    }

    private func usage(_ world: World) throws -> JSONValue {
        try world.backend.call("get-usage", token: world.person.token).json
    }
}
