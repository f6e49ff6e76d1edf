import Common
import Foundation

/// A backend that sells Pro through the sandbox Stripe, whose events come in as nginx would pass them on.
public final class Shop: @unchecked Sendable {
    public let backend: Backend
    public let stripe: Sandbox
    public let database: Database
    private let folder: Folder
    private let inbox: Inbox

    public static let (key, secret) = ("sk_test_of_the_tests", "whsec_of_the_tests")

    /// - Parameters:
    ///   - period: seconds that are paid for at once.
    ///   - hears: whether Stripe's events are taken to the backend.
    public init(
        _ settings: [String: String] = [:], period: Int = 2_592_000, hears: Bool = true, processes: Int = 1
    ) throws {
        folder = try Folder()
        stripe = try Sandbox("sandbox-stripe", ["--period", String(period)], folder: folder)
        backend = try Backend(
            [
                "STRIPE_SECRET_KEY": Shop.key, "STRIPE_WEBHOOK_SECRETS": "whsec_older,\(Shop.secret)",
                "STRIPE_PRICE_ID": "price_sandbox_pro", "STRIPE_BASE_URL": stripe.url,
            ].merging(settings) { $1 }, processes: processes)
        database = backend.database.connect()
        let backend = backend
        inbox = try Inbox { body, signature in
            let answer = try? backend.call(
                "stripe-webhook", raw: body, headers: ["Stripe-Signature": signature], seconds: 20)
            return answer?.status ?? 503
        }
        if hears { try control("webhooks", ["url": inbox.url, "secret": Shop.secret]) }
    }

    // MARK: What people do

    /// Goes to the payment page.
    public func subscribe(_ person: Backend.Person) throws -> Answer {
        try backend.call("subscribe-pro", token: person.token)
    }

    /// Presses a button of a page; where it leads to.
    @discardableResult
    public func press(_ action: String, at url: String?, _ fields: String = "") throws -> String {
        guard let url = url.flatMap({ URL(string: $0) }) else { throw Executable.Failure("no page: \(url ?? "")") }
        let bytes = try stripe.exchange("POST", url.path, body: Array("action=\(action)\(fields)".utf8))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Subscribes and pays; the subscription's id.
    @discardableResult
    public func buy(_ person: Backend.Person) throws -> String {
        let answer = try subscribe(person)
        guard answer.status == 201 else { throw Executable.Failure("\(answer.status) \(answer.text)") }
        try press("pay", at: answer.json["checkout_url"].text)
        let session = try api("GET", "/v1/checkout/sessions/\(answer.json["session_id"].text ?? "")")
        return try session["subscription"].text ?? { throw Executable.Failure("no subscription: \(session)") }()
    }

    /// The answer of `subscription-status`.
    public func status(_ person: Backend.Person) throws -> JSONValue {
        try backend.call("subscription-status", token: person.token).json
    }

    public func tier(_ person: Backend.Person) throws -> String? { try status(person)["tier"].text }

    /// Asks until somebody is Basic: when it was asked what was last answered with Pro, and when Basic had been answered, in seconds
    /// since 1970. They became it between the two, however long an answer takes.
    public func turn(of person: Backend.Person) throws -> (lastPro: Double, firstBasic: Double) {
        var lastPro = 0.0
        while true {
            let asked = Date().timeIntervalSince1970
            guard try tier(person) == "pro" else { return (lastPro, Date().timeIntervalSince1970) }
            lastPro = asked
        }
    }

    // MARK: Stripe's side

    /// Calls Stripe's API.
    @discardableResult
    public func api(_ method: String, _ path: String, _ form: [String: String] = [:]) throws -> JSONValue {
        try stripe.http(method, path, headers: [("Authorization", "Bearer \(Shop.key)")], body: Shop.encoded(form))
    }

    /// Asks something of the sandbox itself: see its Controls.
    @discardableResult
    public func control(_ name: String, _ form: [String: String] = [:], method: String = "POST") throws -> JSONValue {
        try stripe.http(method, "/sandbox/\(name)", body: Shop.encoded(form))
    }

    /// How often the API was called so.
    public func calls(_ method: String, _ path: String) throws -> Int {
        try stripe.http("GET", "/sandbox/requests").list.count {
            $0["method"].text == method && $0["path"].text?.split(separator: "?").first.map(String.init) == path
        }
    }

    /// What Stripe has of all subscriptions, as our rows would have it: id, status, and the times as seconds.
    public func theirs() throws -> [String] {
        var all: [JSONValue] = []
        var hasMore = true
        while hasMore {
            let after = all.last.flatMap { $0["id"].text }.map { "&starting_after=\($0)" } ?? ""
            let page = try api("GET", "/v1/subscriptions?status=all&limit=100\(after)")
            all += page["data"].list
            hasMore = page["has_more"] == true
        }
        func number(_ value: JSONValue) -> String { value.number.map { String(Int($0)) } ?? "-" }
        return all.map { subscription in
            [
                subscription["id"].text ?? "", subscription["status"].text ?? "",
                number(subscription["items"]["data"][0]["current_period_end"]), number(subscription["cancel_at"]),
                subscription["cancel_at_period_end"] == true ? "t" : "f", number(subscription["ended_at"]),
            ].joined(separator: " ")
        }.sorted()
    }

    /// The same of our rows.
    public func ours() throws -> [String] {
        try database.rows(
            String.self,
            """
            select concat_ws(' ', id, status, coalesce(extract(epoch from current_period_end)::bigint::text, '-'),
                coalesce(extract(epoch from cancel_at)::bigint::text, '-'), left(cancel_at_period_end::text, 1),
                coalesce(extract(epoch from ended_at)::bigint::text, '-')) from subscriptions
            """
        ).sorted()
    }

    private static func encoded(_ form: [String: String]) -> [UInt8] {
        let safe = CharacterSet.alphanumerics
        return Array(
            form.map { "\($0)=\($1.addingPercentEncoding(withAllowedCharacters: safe) ?? "")" }.joined(separator: "&")
                .utf8)
    }
}
