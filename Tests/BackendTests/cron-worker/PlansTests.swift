import Common
import TestSupport
import Testing

/// What a plan allows is kept to when the reply is made, by what the plan then is.
@Suite(.threads)
struct PlansTests {
    @Test
    func `A reply is as long as the plan allows`() throws {
        let world = try World(["PLAN_BASIC_OUTPUT_TOKENS": "100"])
        let worker = try world.backend.worker()
        _ = try world.ask("Hello")
        try world.backend.upgrade(world.person)
        _ = try world.ask("Hello")
        let limits = try world.backend.gemini().requests().map { $0.body["generationConfig"]["maxOutputTokens"] }
        #expect(limits == [100, .missing])
        withExtendedLifetime(worker) {}
    }

    @Test
    func `The operator's own limit holds where it is less`() throws {
        let world = try World(["PLAN_BASIC_OUTPUT_TOKENS": "100", "MAX_OUTPUT_TOKENS": "60"])
        let worker = try world.backend.worker()
        _ = try world.ask("Hello")
        #expect(try world.backend.gemini().requests()[0].body["generationConfig"]["maxOutputTokens"] == 60)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `As much of a conversation goes along as the plan allows`() throws {
        let world = try World(["PLAN_BASIC_CONTEXT_TOKENS": "200", "SUMMARIES": "off"])
        let worker = try world.backend.worker()
        for number in 1...4 { _ = try world.ask("[sandbox:say] \(number) " + String(repeating: "x", count: 300)) }
        let basic = try world.backend.gemini().requests().last?.turns.count
        try world.backend.upgrade(world.person)
        _ = try world.ask("Hello")
        let pro = try world.backend.gemini().requests().last?.turns.count
        #expect(basic == 1 && pro == 9)
        withExtendedLifetime(worker) {}
    }

    @Test
    func `A room whose model is not in the plan any more is answered by the operator's`() throws {
        let world = try World(["PLAN_BASIC_MODELS": "gemini-3.8-flash"])
        let worker = try world.backend.worker()
        try world.backend.upgrade(world.person)
        let room = try world.backend.room(world.person, ["model": "gemini-3.5-flash-lite"])
        _ = try world.ask("Hello", in: room)
        try world.backend.downgrade(world.person)
        _ = try world.ask("Hello", in: room)
        let paths = try world.backend.gemini().requests().map(\.path)
        #expect(paths[0].contains("gemini-3.5-flash-lite:") && paths[1].contains("gemini-3.8-flash:"))
        withExtendedLifetime(worker) {}
    }
}
