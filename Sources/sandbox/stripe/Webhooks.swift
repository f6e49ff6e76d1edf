import Common
import Glibc
import Synchronization
import Upstream

/// Sends events to those who want them, signed as Stripe does: on one thread, many at once. What is not answered with 2xx is sent
/// again, ever later.
final class Webhooks: Sendable {
    struct Endpoint: Sendable {
        let url: String
        let secret: String
        let version: String
    }

    /// How events go out, where not each once and at once.
    struct Plan: Sendable {
        /// Each is sent so often, from one to `repeats` times; 0: not at all.
        var repeats = 1
        /// Each time after so many milliseconds at most, so that they overtake each other.
        var delay = 0
        /// The share, in percent, that goes out in the old version of the API.
        var oldShare = 0
    }

    private struct Delivery {
        let url: String
        let secret: String
        let body: [UInt8]
        /// Monotonic milliseconds.
        var due: Int
        var tries = 0
    }

    struct Counts: Encodable, Sendable {
        var events = 0
        /// Still to be sent, or under way.
        var pending = 0
        /// Of deliveries: sendings, those that were taken, and those that were given up.
        var sent = 0
        var taken = 0
        var given_up = 0
    }

    private struct State {
        var endpoints: [Endpoint] = []
        var plan = Plan()
        var waiting: [Delivery] = []
        var counts = Counts()
    }

    private let state = Mutex(State())
    private static let (limit, tries) = (16, 12)

    var counts: Counts { state.withLock { $0.counts } }
    func add(_ endpoint: Endpoint) { state.withLock { $0.endpoints.append(endpoint) } }
    func follow(_ plan: Plan) { state.withLock { $0.plan = plan } }

    /// Has an event sent to all endpoints.
    func send(_ type: String, old: Value, new: Value, at time: Int) throws {
        try state.withLock { state in
            state.counts.events += 1
            let id = Books.id("evt")
            for endpoint in state.endpoints {
                for _ in 0..<(state.plan.repeats < 1 ? 0 : Int.random(in: 1...state.plan.repeats)) {
                    let isOld =
                        APIVersion(endpoint.version) == .old || Int.random(in: 0..<100) < state.plan.oldShare
                    let event: Value = [
                        "id": .string(id), "object": "event", "type": .string(type), "created": .number(time),
                        "api_version": .string(isOld ? APIVersion.oldName : endpoint.version), "livemode": false,
                        "pending_webhooks": 1, "request": ["id": nil, "idempotency_key": nil],
                        "data": ["object": isOld ? old : new],
                    ]
                    state.waiting.append(
                        Delivery(
                            url: endpoint.url, secret: endpoint.secret, body: try JSON.encode(event),
                            due: monotonicMilliseconds() + Int.random(in: 0...state.plan.delay)))
                    state.counts.pending += 1
                }
            }
        }
    }

    /// Sends what is due, for ever.
    func run() -> Never {
        let client = HTTPClient()
        var sending: [ObjectIdentifier: (delivery: Delivery, transfer: Transfer)] = [:]
        while true {
            let now = monotonicMilliseconds()
            let due = state.withLock { state in
                let ready = state.waiting.partition { $0.due <= now }
                let due = state.waiting[ready...].prefix(Webhooks.limit - sending.count)
                state.waiting.removeSubrange(ready..<ready + due.count)
                state.counts.sent += due.count
                return Array(due)
            }
            for delivery in due {
                if let transfer = client.start(request(delivery)) {
                    sending[ObjectIdentifier(transfer)] = (delivery, transfer)
                }
            }
            for transfer in client.perform() {
                guard let entry = sending.removeValue(forKey: ObjectIdentifier(transfer)) else { continue }
                end(entry.delivery, isTaken: transfer.failure == nil && (200...299).contains(transfer.status))
            }
            _ = client.wait(milliseconds: sending.isEmpty ? 20 : 5, descriptors: [])
        }
    }

    private func request(_ delivery: Delivery) -> HTTPRequest {
        let time = String(Glibc.time(nil))
        let signature = Sodium.hmac(Array("\(time).".utf8) + delivery.body, key: Array(delivery.secret.utf8)).hex
        return HTTPRequest(
            url: delivery.url,
            headers: [
                ("Content-Type", "application/json; charset=utf-8"), ("User-Agent", "Stripe/1.0"),
                ("Stripe-Signature", "t=\(time),v1=\(signature)"),
            ], body: delivery.body, timeout: 20_000, silence: 20)
    }

    private func end(_ delivery: Delivery, isTaken: Bool) {
        state.withLock { state in
            if isTaken {
                state.counts.taken += 1
                state.counts.pending -= 1
            } else if delivery.tries + 1 >= Webhooks.tries {
                state.counts.given_up += 1
                state.counts.pending -= 1
            } else {
                var again = delivery
                again.tries += 1
                again.due = monotonicMilliseconds() + min(60_000, 500 << again.tries)
                state.waiting.append(again)
            }
        }
    }
}
