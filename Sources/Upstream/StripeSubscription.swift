import Common

/// A subscription as Stripe shows it, in the shapes of its API's versions: since 2025-03-31 periods are on its items and not on
/// itself. Written as `stripe_subscriptions()` reads it; times are seconds since 1970.
public struct StripeSubscription: Codable, Sendable {
    let id: String
    let customer: String
    let status: String
    let price: String?
    let livemode: Bool
    let currentPeriodEnd: Int?
    let cancelAt: Int?
    let cancelAtPeriodEnd: Bool
    /// When the payment that is due was first asked for.
    let pastDueSince: Int?
    /// Whether its latest invoice is paid.
    let isPaid: Bool
    let createdAt: Int
    let endedAt: Int?
    /// How the collection of payments is paused, in Stripe's word; nil where it is not.
    let collectionPause: String?
    let resumesAt: Int?

    enum CodingKeys: String, CodingKey {
        case id, customer, status, price, livemode
        case currentPeriodEnd = "current_period_end"
        case cancelAt = "cancel_at"
        case cancelAtPeriodEnd = "cancel_at_period_end"
        case pastDueSince = "past_due_since"
        case isPaid = "is_paid"
        case createdAt = "created_at"
        case endedAt = "ended_at"
        case collectionPause = "collection_pause"
        case resumesAt = "resumes_at"
    }

    /// What of Stripe's members is looked at and not kept under the same name.
    private enum StripeKeys: String, CodingKey {
        case created, items, plan
        case latestInvoice = "latest_invoice"
        case pauseCollection = "pause_collection"
    }

    private struct Items: Decodable { let data: [Item] }
    private struct Item: Decodable {
        let price: Price?
        let plan: Price?
        let current_period_end: UnixTime?
    }
    private struct Price: Decodable { let id: String }
    private struct Invoice: Decodable {
        struct Transitions: Decodable { let finalized_at: UnixTime? }
        let status: String?
        let created: UnixTime?
        let status_transitions: Transitions?
    }

    private struct Pause: Decodable {
        let behavior: String
        let resumes_at: UnixTime?
    }

    /// Those of which it is known what they mean.
    private static let statuses: Set = [
        "active", "trialing", "past_due", "incomplete", "incomplete_expired", "unpaid", "paused", "canceled",
    ]

    public init(from decoder: any Decoder) throws {
        let own = try decoder.container(keyedBy: CodingKeys.self)
        let other = try decoder.container(keyedBy: StripeKeys.self)
        let items = try other.decodeIfPresent(Items.self, forKey: .items)?.data ?? []
        id = try own.decode(String.self, forKey: .id)
        customer = try own.decode(Reference.self, forKey: .customer).id
        status = try own.decode(String.self, forKey: .status)
        let plan = try other.decodeIfPresent(Price.self, forKey: .plan)
        price = (items.first?.price ?? items.first?.plan ?? plan)?.id
        livemode = try own.decode(Bool.self, forKey: .livemode)
        let periodEnd = try own.decodeIfPresent(UnixTime.self, forKey: .currentPeriodEnd)
        currentPeriodEnd = items.compactMap(\.current_period_end?.seconds).max() ?? periodEnd?.seconds
        cancelAt = try own.decodeIfPresent(UnixTime.self, forKey: .cancelAt)?.seconds
        cancelAtPeriodEnd = try own.decodeIfPresent(Bool.self, forKey: .cancelAtPeriodEnd) ?? false
        createdAt = try other.decode(UnixTime.self, forKey: .created).seconds
        endedAt = try own.decodeIfPresent(UnixTime.self, forKey: .endedAt)?.seconds
        let pause = try other.decodeIfPresent(Pause.self, forKey: .pauseCollection)
        collectionPause = pause?.behavior
        resumesAt = pause?.resumes_at?.seconds
        // The id alone where it was not expanded.
        let invoice = try? other.decodeIfPresent(Invoice.self, forKey: .latestInvoice)
        isPaid = invoice?.status == "paid"
        pastDueSince =
            status == "past_due"
            ? (invoice?.status_transitions?.finalized_at ?? invoice?.created)?.seconds ?? createdAt : nil
        if !Self.statuses.contains(status) {
            Log.error("a status of a subscription that is not known", ["subscription": id, "status": status])
        }
    }

    /// The query for a page of them: of one customer, or of all.
    public static func query(customer: String? = nil, after: String? = nil) -> [(String, String)] {
        var query = [("status", "all"), ("limit", "100"), ("expand[0]", "data.latest_invoice")]
        if let customer { query.append(("customer", customer)) }
        if let after { query.append(("starting_after", after)) }
        return query
    }

    /// Makes our rows of a customer equal to all of these: a boolean, whether there is anybody to store them for.
    /// - Parameter asked: before Stripe was asked for them, by Postgres's clock.
    public static func store(_ all: [StripeSubscription], of customer: String, asked: String) throws -> SQL {
        """
        select store_subscriptions(
            \(customer), \(asked)::timestamptz, \(try json(all))::jsonb, \(Settings.stripeGraceDays))
        """
    }

    /// As `store_subscriptions` takes them.
    static func json(_ all: [StripeSubscription]) throws -> String {
        String(decoding: try JSON.encode(all), as: UTF8.self)
    }
}

/// A page of a list of Stripe's.
public struct StripeList<Element: Decodable & Sendable>: Decodable, Sendable {
    public let data: [Element]
    public let hasMore: Bool

    enum CodingKeys: String, CodingKey {
        case data
        case hasMore = "has_more"
    }
}

extension StripeList where Element == StripeSubscription {
    /// After which the next page begins; nil for the last one.
    public var next: String? { hasMore ? data.last?.id : nil }
}

/// Another object, named by its id or expanded in place.
struct Reference: Decodable {
    let id: String

    private struct Expanded: Decodable { let id: String }

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let id = try? value.decode(String.self) { self.id = id } else { id = try value.decode(Expanded.self).id }
    }
}
