import Common
import Upstream

/// Which of the operator's keys may be asked for which model just now. What Gemini holds back is held back for all workers,
/// through Postgres, and tried again by one call of theirs at a time until one is answered.
struct Routes {
    /// A way to have a call made.
    struct Route: Hashable {
        /// The number of the key.
        let key: Int
        let model: String
    }

    /// What can be said of a chain of models.
    enum Way {
        case open(Route)
        /// Closed for so many seconds at least.
        case closed(seconds: Double, because: Message.Failure)
    }

    let keys: [String]
    /// How the keys are known in Postgres, where none of them is written.
    private let names: [String]
    private let fallbacks: [String]
    /// Calls at once through one key, of all workers together; nil for no limit.
    private let callsPerKey: Int?
    private var refusals: [Hold: Refusal] = [:]
    private var lastKey = 0
    private(set) var slowStart = SlowStart(first: 4)
    private let database: Database

    /// A key, a model, or one with the other; nil stands for all.
    private struct Hold: Hashable {
        let key: Int?
        let model: String?
    }

    /// That Gemini refused calls. Times are monotonic milliseconds.
    private struct Refusal {
        /// Until then it is left alone; from then on one call tries it.
        var until: Int
        var failure: Message.Failure
        /// How often in a row.
        var count: Int
        /// The last one. A call that began before it says nothing new.
        var since: Int
    }

    init(_ database: Database) {
        self.database = database
        let list = Settings.text("GEMINI_API_KEYS", default: Settings.text("GEMINI_API_KEY", default: ""))
        keys = list.split(separator: ",").map(String.init)
        if keys.isEmpty { Settings.refuse("GEMINI_API_KEY is not set") }
        names = keys.map { String(Sodium.sha256(Array($0.utf8)).hex.prefix(16)) }
        fallbacks = Settings.text("GEMINI_FALLBACK_MODELS", default: "").split(separator: ",").map(String.init)
        let calls = Settings.number("CALLS_PER_KEY", default: 0, in: 0...10_000)
        callsPerKey = calls == 0 ? nil : calls
    }

    /// How many calls all workers may have under way together; nil for no limit.
    var permits: Int? {
        let now = monotonicMilliseconds()
        return callsPerKey.map { calls in
            calls * keys.indices.filter { (refusals[Hold(key: $0, model: nil)]?.until ?? 0) <= now }.count
        }
    }

    private func holds(on route: Route) -> [Hold] {
        [
            Hold(key: route.key, model: route.model), Hold(key: route.key, model: nil),
            Hold(key: nil, model: route.model),
        ].filter { refusals[$0] != nil }
    }

    private func name(_ hold: Hold) -> (key: String, model: String) {
        (hold.key.map { names[$0] } ?? "*", hold.model ?? "*")
    }

    /// The way for a job: its model and the fallbacks after it, a step further at each attempt, for what failed may be busy.
    /// Keys take turns.
    mutating func way(for model: String, attempt: Int) -> Way {
        let chain = [model] + fallbacks.filter { $0 != model }
        var next: Refusal?
        for step in chain.indices {
            let model = chain[(attempt - 1 + step) % chain.count]
            for turn in 1...keys.count {
                let route = Route(key: (lastKey + turn) % keys.count, model: model)
                let holds = holds(on: route)
                let now = monotonicMilliseconds()
                let isClosed = holds.contains { refusals[$0].map { $0.until > now } ?? false }
                if !isClosed, holds.allSatisfy({ mayTry($0) }) {
                    lastKey = route.key
                    return .open(route)
                }
                let last = holds.compactMap { refusals[$0] }.max { $0.until < $1.until }
                if let last, next.map({ last.until < $0.until }) ?? true { next = last }
            }
        }
        let milliseconds = next.map { max(50, $0.until - monotonicMilliseconds()) } ?? 1_000
        return .closed(seconds: Double(milliseconds) / 1_000, because: next?.failure ?? .busy)
    }

    /// Whether the call that tries a way whose time to be left alone is up may be made here. Until it is answered, or another
    /// pause is up, no other worker makes one.
    private mutating func mayTry(_ hold: Hold) -> Bool {
        guard let refusal = refusals[hold] else { return true }
        let (key, model) = name(hold)
        let seconds = Routes.pause(after: refusal.count)
        do {
            let isOurs =
                try database.execute(
                    """
                    update upstream_holds set until = now() + make_interval(secs => \(seconds)::float8)
                    where key = \(key) and model = \(model) and until <= now()
                    """) == 1
            if isOurs {
                refusals[hold]?.until = monotonicMilliseconds() + Int(seconds * 1_000)
            } else {
                try learn()
            }
            return isOurs
        } catch {
            Log.error("what is held back cannot be tried", ["reason": "\(error)"])
            return false
        }
    }

    /// Seconds that double with each refusal in a row: from one, whatever Gemini asks for, to a minute.
    private static func pause(after count: Int) -> Double {
        min(60, Double(1 << min(max(0, count - 1), 6)) * Double.random(in: 1...1.25))
    }

    /// Closes ways, here at once and for all workers.
    /// - Parameters:
    ///   - seconds: that Gemini asks for.
    ///   - began: when the call began that was refused, in monotonic milliseconds.
    mutating func hold(
        _ what: GeminiOutcome.HeldBack, _ route: Route, seconds: Double?, because failure: Message.Failure, began: Int
    ) {
        let hold =
            switch what {
            case .keyForModel: Hold(key: route.key, model: route.model)
            case .key: Hold(key: route.key, model: nil)
            case .model: Hold(key: nil, model: route.model)
            }
        let (key, model) = name(hold)
        let known = refusals[hold]
        // Calls that were under way together are refused together: that is once.
        let count = known.map { began < $0.since ? $0.count : min($0.count + 1, 100) } ?? 1
        let seconds = max(seconds ?? 0, Routes.pause(after: count))
        let now = monotonicMilliseconds()
        refusals[hold] = Refusal(
            until: max(known?.until ?? 0, now + Int(seconds * 1_000)), failure: failure, count: count, since: now)
        if known == nil {
            Log.notice(
                "held back", ["key": key, "model": model, "seconds": String(seconds), "reason": failure.code])
        }
        do {
            // In one statement: none may find it there before the others are told.
            try database.execute(
                """
                with held as (
                    insert into upstream_holds as h (key, model, until, reason, refusals)
                    values (\(key), \(model), now() + make_interval(secs => \(seconds)::float8), \(failure.code),
                        \(count)::int)
                    on conflict (key, model) do update
                    set until = greatest(h.until, excluded.until), reason = excluded.reason,
                        refusals = greatest(h.refusals, excluded.refusals)
                    returning key
                )
                select pg_notify('holds', '') from held
                """)
        } catch {
            Log.error("others are not told what is held back", ["reason": "\(error)"])
        }
    }

    /// A call has begun.
    mutating func begin() { slowStart.begin(monotonicMilliseconds()) }

    /// A call is being answered: what was refused before it is open again, for all workers.
    /// - Parameter began: when the call began, in monotonic milliseconds.
    mutating func accept(_ route: Route, began: Int) {
        slowStart.accept()
        for hold in holds(on: route) where refusals[hold].map({ $0.since <= began }) == true {
            refusals[hold] = nil
            // Others wait to go the same way.
            slowStart = SlowStart(first: 1)
            let (key, model) = name(hold)
            Log.notice("no longer held back", ["key": key, "model": model])
            do {
                try database.execute(
                    """
                    with opened as (delete from upstream_holds where key = \(key) and model = \(model) returning key)
                    select pg_notify('holds', '') from opened
                    """)
            } catch {
                Log.error("others are not told what is open again", ["reason": "\(error)"])
            }
        }
    }

    /// Learns what all workers have found held back.
    mutating func learn() throws {
        struct Row: Decodable {
            let key: String
            let model: String
            let milliseconds: Int
            let reason: String
            let refusals: Int
        }
        let rows = try database.rows(
            Row.self,
            """
            select key, model, (extract(epoch from least(until - now(), interval '1 day')) * 1000)::int as milliseconds, reason,
                refusals
            from upstream_holds where \(Routes.isRemembered)
            """)
        let now = monotonicMilliseconds()
        var learned: [Hold: Refusal] = [:]
        for row in rows {
            guard let key = row.key == "*" ? -1 : names.firstIndex(of: row.key) else { continue }
            let hold = Hold(key: key < 0 ? nil : key, model: row.model == "*" ? nil : row.model)
            let failure = [Message.Failure.busy, .quota, .broken].first { $0.code == row.reason } ?? .busy
            let known = refusals[hold]
            if known == nil {
                Log.info("heard what is held back", ["key": row.key, "model": row.model, "reason": row.reason])
            }
            learned[hold] = Refusal(
                until: now + row.milliseconds, failure: failure, count: row.refusals,
                since: known.map { $0.count >= row.refusals ? $0.since : now } ?? now)
        }
        refusals = learned
    }

    /// Learns whether Gemini has answered other workers of late.
    mutating func recall() throws {
        let wasAnswered = try database.row(
            Bool.self, "select exists (select from model_times where updated_at > now() - interval '5 minutes')")
        if wasAnswered == true { slowStart.end() }
    }

    /// Whether a row of `upstream_holds` says anything yet: how often it was refused is known for a while after its time is up.
    static let isRemembered: SQL = "until > now() - interval '10 minutes'"
}
