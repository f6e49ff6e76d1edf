import Common
import Upstream

/// Which of the operator's keys may be asked for which model just now. What Gemini holds back is held back for all workers,
/// through Postgres.
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
    private var held: [Hold: (until: Int, failure: Message.Failure)] = [:]
    /// How often in a row a way was refused without a word on how long.
    private var refusals: [Route: Int] = [:]
    private var lastKey = 0

    /// A key, a model, or one with the other; nil stands for all.
    private struct Hold: Hashable {
        let key: Int?
        let model: String?
    }

    init() {
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
            calls * keys.indices.filter { (held[Hold(key: $0, model: nil)]?.until ?? 0) <= now }.count
        }
    }

    /// The way for a job: its model and the fallbacks after it, a step further at each attempt, for what failed may be busy.
    /// Keys take turns.
    mutating func way(for model: String, attempt: Int) -> Way {
        let chain = [model] + fallbacks.filter { $0 != model }
        let now = monotonicMilliseconds()
        var next: (until: Int, failure: Message.Failure)?
        for step in chain.indices {
            let model = chain[(attempt - 1 + step) % chain.count]
            for turn in 1...keys.count {
                let key = (lastKey + turn) % keys.count
                let holds = [Hold(key: key, model: model), Hold(key: key, model: nil), Hold(key: nil, model: model)]
                guard let hold = holds.compactMap({ held[$0] }).max(by: { $0.until < $1.until }), hold.until > now
                else {
                    lastKey = key
                    return .open(Route(key: key, model: model))
                }
                if next.map({ hold.until < $0.until }) ?? true { next = hold }
            }
        }
        guard let next else { return .closed(seconds: 1, because: .busy) }
        return .closed(seconds: Double(next.until - now) / 1_000, because: next.failure)
    }

    /// A call was answered: the way is good.
    mutating func succeeded(_ route: Route) { refusals[route] = nil }

    /// Closes ways, here at once and for all workers.
    mutating func hold(
        _ what: GeminiOutcome.HeldBack, _ route: Route, seconds: Double?, because failure: Message.Failure,
        in database: Database
    ) {
        let count = refusals[route, default: 0]
        refusals[route] = count + 1
        let seconds = seconds ?? min(60, Double(1 << min(count, 6)) * Double.random(in: 1...1.5))
        let hold =
            switch what {
            case .keyForModel: Hold(key: route.key, model: route.model)
            case .key: Hold(key: route.key, model: nil)
            case .model: Hold(key: nil, model: route.model)
            }
        let until = monotonicMilliseconds() + Int(seconds * 1_000)
        if until > held[hold]?.until ?? 0 { held[hold] = (until, failure) }
        Log.notice(
            "held back",
            [
                "key": hold.key.map { names[$0] } ?? "all", "model": hold.model ?? "all", "seconds": String(seconds),
                "reason": failure.code,
            ])
        do {
            // In one statement: none may find it there before the others are told.
            try database.execute(
                """
                with held as (
                    insert into upstream_holds as h (key, model, until, reason)
                    values (\(hold.key.map { names[$0] } ?? "*"), \(hold.model ?? "*"),
                        now() + make_interval(secs => \(seconds)::float8), \(failure.code))
                    on conflict (key, model) do update
                    set until = greatest(h.until, excluded.until), reason = excluded.reason
                    returning key
                )
                select pg_notify('holds', '') from held
                """)
        } catch {
            Log.error("others are not told what is held back", ["reason": "\(error)"])
        }
    }

    /// Learns what all workers have found held back.
    mutating func learn(from database: Database) throws {
        struct Row: Decodable {
            let key: String
            let model: String
            let milliseconds: Int
            let reason: String
        }
        let rows = try database.rows(
            Row.self,
            """
            select key, model, (extract(epoch from until - now()) * 1000)::int as milliseconds, reason
            from upstream_holds where until > now()
            """)
        let now = monotonicMilliseconds()
        for row in rows {
            guard let key = row.key == "*" ? -1 : names.firstIndex(of: row.key) else { continue }
            let hold = Hold(key: key < 0 ? nil : key, model: row.model == "*" ? nil : row.model)
            let failure = [Message.Failure.busy, .quota, .broken].first { $0.code == row.reason } ?? .busy
            if held[hold]?.until ?? 0 <= now {
                Log.info("heard what is held back", ["key": row.key, "model": row.model, "reason": row.reason])
            }
            held[hold] = (now + row.milliseconds, failure)
        }
        held = held.filter { $0.value.until > now }
    }
}
