import ArgumentParser
import Glibc
import SandboxHTTP

@main
struct SandboxStripe: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox-stripe",
        abstract: "Speaks the part of Stripe's API that selling a subscription takes, on 127.0.0.1. No money moves.",
        discussion:
            "Any key that begins with sk_test_ will do. Trouble is asked for under /sandbox/: see Controls.swift.")

    @Option(help: "The port to listen on; 0 picks a free one, which its pages then do not know.")
    var port: UInt16 = 9552

    @Option(help: "What is before the paths of its pages, where not its own address.")
    var url: String?

    @Option(help: "The price that is sold.")
    var price = "price_sandbox_pro"

    @Option(help: "Seconds of a period.")
    var period = 2_592_000

    @Option(help: "Where events are sent to.")
    var webhook: String?

    @Option(help: "What they are signed with; better set as WEBHOOK_SECRET.")
    var secret: String?

    @Option(help: "The version of the API that they have.")
    var version = APIVersion.newName

    @Option(help: "A file to keep everything in for the next start.")
    var state: String?

    mutating func validate() throws {
        if period < 1 { throw ValidationError("--period must be 1 or more.") }
    }

    mutating func run() throws {
        let service = try StripeService(
            price: price, period: period, url: url ?? "http://127.0.0.1:\(port)", path: state)
        if let webhook {
            let secret = secret ?? getenv("WEBHOOK_SECRET").map { String(cString: $0) } ?? "whsec_sandbox"
            service.webhooks.add(Webhooks.Endpoint(url: webhook, secret: secret, version: version))
        }
        start { service.webhooks.run() }
        start { service.passTime() }
        HTTPServer(name: "sandbox-stripe", handler: service.serve).run(port: port)
    }

    /// Runs something that never ends, on a thread of its own.
    private func start(_ body: @escaping @Sendable () -> Never) {
        final class Body {
            let run: @Sendable () -> Never
            init(_ run: @escaping @Sendable () -> Never) { self.run = run }
        }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
            }, Unmanaged.passRetained(Body(body)).toOpaque())
    }
}
