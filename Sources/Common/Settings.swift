import Glibc

/// What the operator set in the environment, with its default. The README lists all of them.
///
/// A value that cannot be used ends the process at its start with one line that names it, and exit code 78 (EX_CONFIG).
public enum Settings {
    /// Where Postgres is, in every form that libpq takes; empty leaves it to the `PG…` variables.
    public static let databaseURL = text("DATABASE_URL", default: "")
    /// `off` behind a pooler that keeps no prepared statements (PgBouncer before 1.21, by transaction).
    public static let preparedStatements = choice("PREPARED_STATEMENTS", ["on", "off"]) == "on"
    /// Milliseconds until a statement is given up, cancelled, and answered with 503.
    public static let statementTimeout = number("STATEMENT_TIMEOUT_MS", default: 5_000, in: 100...600_000)
    /// Milliseconds until a connection that Postgres does not take up is given up; several hosts share them. Below the second
    /// that a caller may have to wait for the news that Postgres is away.
    public static let connectTimeout = number("CONNECT_TIMEOUT_MS", default: 900, in: 100...60_000)
    /// How many connections the handlers of this host have together at most; 0: as many as they like. They count by means of a
    /// FIFO, without which there is no limit.
    static let connections = number("CONNECTIONS", default: 0, in: 0...100_000)
    static let connectionsFIFO = text("CONNECTIONS_FIFO", default: "")
    /// How many of the requests that wait for a process it begins together at most.
    public static let requestsTogether = number("REQUESTS_TOGETHER", default: 16, in: 1...64)
    /// Seconds after which an idle process closes its connection.
    public static let idleSeconds = number("IDLE_SECONDS", default: 60, in: 1...86_400)
    /// Root keys, `kid:base64,…`, or those derived for this process, `kid:PURPOSE:base64,…`.
    public static let tokenKeys = TokenKeys(text("TOKEN_KEYS", default: ""))
    /// Seconds that an access token is good for.
    public static let accessTokenSeconds = number("ACCESS_TOKEN_SECONDS", default: 3_600, in: 1...86_400)
    /// Seconds that a session lasts without being refreshed.
    public static let sessionSeconds = number("REFRESH_TOKEN_SECONDS", default: 2_592_000, in: 60...31_536_000)
    /// How one-time passwords reach their owner: in the answer (for development), or through the worker: into its log, by
    /// Twilio, by a webhook of the operator's.
    public static let otpDelivery = {
        let delivery = choice("OTP_DELIVERY", ["response", "log", "twilio", "webhook"])
        if delivery == "response", text("ENVIRONMENT", default: "") == "production" {
            refuse("OTP_DELIVERY must be set, and not to response, where ENVIRONMENT is production")
        }
        return delivery
    }()
    /// Seconds between two one-time passwords for one number.
    public static let otpResendSeconds = number("OTP_RESEND_SECONDS", default: 60, in: 0...3_600)
    /// Wrong passwords from one origin for one number, and from one address for all of them (0: no limit), before the next has to wait.
    public static let loginTries = number("LOGIN_TRIES", default: 5, in: 1...1_000_000)
    public static let loginTriesByAddress = number("LOGIN_TRIES_BY_ADDRESS", default: 20, in: 0...1_000_000)
    /// Seconds of the first wait; each further wrong password doubles it, up to the longest.
    public static let loginWait = number("LOGIN_WAIT_SECONDS", default: 30, in: 1...86_400)
    public static let loginLongestWait = number("LOGIN_LONGEST_WAIT_SECONDS", default: 3_600, in: 1...86_400)
    /// One-time passwords that one address may ask for in an hour, and as many sign-ups, and one-time passwords of the whole site in a
    /// day (UTC); 0: no limit.
    public static let otpPerAddressHour = number("OTP_PER_ADDRESS_HOUR", default: 20, in: 0...10_000)
    public static let otpPerDay = number("OTP_PER_DAY", default: 0, in: 0...10_000_000)
    /// What the numbers that get codes begin with, as in `+91,+1`; empty: all do.
    public static let otpCountries = {
        let prefixes = text("OTP_COUNTRIES", default: "").split(separator: ",").map(String.init)
        guard prefixes.allSatisfy({ $0.hasPrefix("+") && Int($0.dropFirst()) ?? 0 > 0 }) else {
            refuse("OTP_COUNTRIES must be of prefixes such as +91,+1")
        }
        return prefixes
    }()
    /// The country code that is put before national numbers, as in `+91`; empty: they are refused.
    public static let defaultCountry = {
        let country = text("DEFAULT_COUNTRY", default: "")
        let digits = country.utf8.dropFirst()
        let isCode = country.hasPrefix("+") && (1...4).contains(digits.count) && digits.allSatisfy(\.isDigit)
        guard country.isEmpty || isCode && digits.first != UInt8(ascii: "0") else {
            refuse("DEFAULT_COUNTRY must be a country code such as +91")
        }
        return country
    }()
    /// How many digits a national number has, without its leading 0.
    public static let nationalDigits = number("NATIONAL_DIGITS", default: 10, in: 4...14)
    /// Whether a sign-up is answered alike for a number that has an account.
    public static let signupConceals = choice("SIGNUP_CONCEALS", ["off", "on"]) == "on"
    /// The proxies whose `X-Forwarded-For` is believed.
    static let trustedProxies = {
        let list = text("TRUSTED_PROXIES", default: "")
        guard let proxies = TrustedProxies(list) else {
            refuse("TRUSTED_PROXIES must be addresses and ranges such as 127.0.0.1,10.0.0.0/8, not \"\(list)\"")
        }
        return proxies
    }()
    /// The model that answers in rooms that chose none.
    public static let model = text("GEMINI_MODEL", default: "gemini-3.8-flash")
    /// The models that a room may choose, separated by commas.
    public static let models = Set(
        text("GEMINI_MODELS", default: "gemini-3.8-flash,gemini-3.5-flash-lite").split(separator: ",").map(String.init)
            + [model])
    /// `off`: as many messages and requests as a user likes.
    public static let limits = choice("LIMITS", ["on", "off"]) == "on"
    /// Days for which a room in the trash can be restored.
    public static let trashDays = number("TRASH_DAYS", default: 30, in: 1...3_650)
    /// Stripe's secret key; empty: nobody can pay.
    public static let stripeKey = text("STRIPE_SECRET_KEY", default: "")
    /// Whether that key is one of live mode, where money moves. Restricted keys begin with rk_.
    public static let stripeIsLive = {
        let mode = stripeKey.split(separator: "_").dropFirst().first
        guard stripeKey.isEmpty || mode == "live" || mode == "test" else {
            refuse("STRIPE_SECRET_KEY must begin with sk_test_, sk_live_, rk_test_ or rk_live_")
        }
        return mode == "live"
    }()
    /// `whsec_…,whsec_…`: the secrets of Stripe's webhook, any of which may have signed.
    public static let stripeWebhookSecrets = text("STRIPE_WEBHOOK_SECRETS", default: "").split(separator: ",").map {
        Array($0.utf8)
    }
    /// Days for which Pro goes on after a payment failed, and after a period whose renewal was not heard of.
    public static let stripeGraceDays = number("STRIPE_GRACE_DAYS", default: 3, in: 0...90)
    /// What is before the paths of this site, as browsers see it.
    public static let publicURL = {
        let url = text("PUBLIC_URL", default: "http://127.0.0.1:8080")
        guard ["http://", "https://"].contains(where: url.hasPrefix), !url.hasSuffix("/") else {
            refuse("PUBLIC_URL must be like https://chat.example, without a slash at its end")
        }
        return url
    }()
    /// The same for links that are shared; empty where it is not set, so that they are relative.
    public static let linkPrefix = text("PUBLIC_URL", default: "").isEmpty ? "" : publicURL
    /// Days that a share lasts where its owner says nothing, how many a user may have, and how many bytes each.
    public static let shareDays = number("SHARE_DAYS", default: 30, in: 1...365)
    public static let shares = number("SHARES", default: 100, in: 1...100_000)
    public static let shareBytes = number("SHARE_MB", default: 4, in: 1...100) << 20
    /// The worker's datagram socket, rung after a message is committed; empty: no doorbell, the worker polls.
    public static let doorbell = text("DOORBELL", default: "")
    /// How many requests that wait for something (`Prefer: wait`) one process holds; others are answered at once.
    public static let heldRequests = number("HELD_REQUESTS", default: 1_000, in: 0...100_000)
    /// How many of them may be of one user; the rest are answered at once, too.
    public static let heldRequestsPerUser = number("HELD_REQUESTS_PER_USER", default: 20, in: 1...100_000)
    /// Milliseconds of CPU that a request may take before its process ends.
    public static let requestCPU = number("REQUEST_CPU_MS", default: 10_000, in: 10...600_000)
    /// Seconds for which a reader of a long answer may take none of it.
    public static let readerPatience = number("READER_PATIENCE_SECONDS", default: 30, in: 1...600)
    /// The least severe line that is logged: `info` has one for each request.
    public static let logLevel = choice("LOG_LEVEL", ["notice", "info", "error"])

    /// Reads what every handler depends on, so that a bad value shows at the start and not in the first request.
    public static func check() {
        _ = (databaseURL, preparedStatements, statementTimeout, connectTimeout, requestsTogether, connections)
        _ = (idleSeconds, tokenKeys)
        _ = (accessTokenSeconds, sessionSeconds, otpDelivery, otpResendSeconds, model, models, doorbell, logLevel)
        _ = (
            heldRequests, heldRequestsPerUser, requestCPU, readerPatience, loginTries, loginTriesByAddress, loginWait,
            loginLongestWait
        )
        _ = (otpPerAddressHour, otpPerDay, otpCountries, limits, trashDays, Plan.basic, Plan.pro)
        _ = (defaultCountry, nationalDigits)
        _ = (signupConceals, trustedProxies)
        _ = (publicURL, shareDays, shares, shareBytes)
        _ = RateLimit.allCases.map(\.perMinute)
        _ = (stripeIsLive, stripeGraceDays)
        tokenKeys.check(for: Log.program)
    }

    /// The value of a variable, or `default` where it is unset or empty.
    public static func text(_ name: String, default value: String) -> String {
        guard let set = getenv(name), set.pointee != 0 else { return value }
        return String(cString: set)
    }

    /// The value of a variable that has to be set.
    public static func required(_ name: String) -> String {
        let value = text(name, default: "")
        if value.isEmpty { refuse("\(name) is not set") }
        return value
    }

    /// A whole number within `range`.
    public static func number(_ name: String, default value: Int, in range: ClosedRange<Int>) -> Int {
        let set = text(name, default: String(value))
        guard let number = Int(set), range.contains(number) else {
            refuse("\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound), not \"\(set)\"")
        }
        return number
    }

    /// One of `words`; the first is the default.
    public static func choice(_ name: String, _ words: [String]) -> String {
        let set = text(name, default: words[0])
        guard words.contains(set) else { refuse("\(name) must be one of \(words), not \"\(set)\"") }
        return set
    }

    /// Ends the process because of a setting that it cannot work with.
    public static func refuse(_ reason: String) -> Never {
        Log.error("setting refused", ["reason": reason])
        exit(78)
    }
}
