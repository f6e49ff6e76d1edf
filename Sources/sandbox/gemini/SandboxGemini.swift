import ArgumentParser
import SandboxHTTP

@main
struct SandboxGemini: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox-gemini",
        abstract: "Speaks the Gemini REST protocol on 127.0.0.1, without a model, a key or Google.",
        discussion: "Failures are asked for in the message itself, as in \"[sandbox:error code=503 times=2]\".")

    @Option(help: "The port to listen on; 0 picks a free one.")
    var port: UInt16 = 9550

    @Option(help: "Milliseconds to the first byte.")
    var delayMs = 200

    @Option(help: "Milliseconds between the chunks of a stream.")
    var chunkMs = 30

    @Option(
        help: ArgumentHelp(
            "Makes calls misbehave that did not ask for it, the same ones each time; RATE is 0 to 1, 0.2 unless given.",
            valueName: "seed[:rate]"))
    var faults: Faults.Choice?

    @Option(help: "Makes all that it says repeatable.")
    var seed: UInt64 = .random(in: .min ... .max)

    mutating func run() {
        let service = GeminiService(
            pace: Pace(delay: delayMs, interval: chunkMs), seed: Seed(value: seed), faults: faults.map(Faults.init))
        HTTPServer(name: "sandbox-gemini", handler: service.serve).run(port: port)
    }
}
