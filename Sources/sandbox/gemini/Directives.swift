/// What the last user message asks the sandbox to do, beside being answered. Directives stand anywhere in the text,
/// several may, and those of earlier messages do not count. One that is misspelt is refused with a 400 that says so.
///
/// Instead of an answer:
///
///     [sandbox:error code=503]       400, 401, 403, 404, 429, 500, 502, 503, 504
///     [sandbox:error code=429 retry=2.5s]   a 429 with that RetryInfo; without `retry` the delay (1.5s) stands only in
///                                    the message; with `hint=none` nowhere. Another code with `retry` has that RetryInfo too
///     [sandbox:quota-daily]          429, used up for today (and, as Google does, with a RetryInfo that misleads)
///     [sandbox:bad-key]              400 API_KEY_INVALID
///     [sandbox:blocked]              200 without candidates: promptFeedback.blockReason SAFETY
///     [sandbox:poison]               likewise, and so is every later call that still has this message in its `contents`
///     [sandbox:garbage]              200 with what is no JSON
///     [sandbox:drop]                 the connection closes without a byte
///
/// Another answer:
///
///     [sandbox:say] REST             REST, literally, whatever it contains
///     [sandbox:long bytes=N]         exactly N bytes
///     [sandbox:checked words=40]     the message, hashes of it all and of the conversation before it: see `checkedText`
///     [sandbox:safety]               half of the text (streams only), then finishReason SAFETY without content
///     [sandbox:recitation]           likewise, RECITATION
///     [sandbox:max-tokens]           half of the text, MAX_TOKENS
///     [sandbox:empty]                MAX_TOKENS and no text, all spent on thinking
///     [sandbox:blank]                white space alone
///     [sandbox:finish reason=R]      half of the text (streams only), then finishReason R without content
///     [sandbox:stop-each]            finishReason STOP in each chunk, not in the last alone
///     [sandbox:tokens count=N]       N for candidatesTokenCount, at most 2^63-1
///     [sandbox:thoughts]             a part with thought:true first, and a thoughtSignature at the end
///     [sandbox:continuation hops=1]  ends with CONTINUATION and a token, which gives the rest in so many further calls
///
/// Another way of sending it:
///
///     [sandbox:slow ms=N]            N ms to the first byte
///     [sandbox:hang ms=600000 after=0]      silent for so long, before the first byte or after so many chunks,
///                                    at the latest before the last; then it goes on
///     [sandbox:chunks n=N ms=M]      at most N chunks of text, M ms apart
///     [sandbox:fragment bytes=7]     in pieces of so many bytes, whatever they cut apart
///     [sandbox:stream-error shape=data code=503]  half of the chunks, then an error as an event; `shape=bare`: as JSON
///                                    without `data:`; `shape=lines`: as an event of several `data:` lines; `retry=2.5s`: with that
///                                    RetryInfo. Without streaming: that error
///     [sandbox:truncate]             half of it, then the body is cut off; `end=clean`: it ends as if it were whole
///     [sandbox:reset]                half of it, then RST
///     [sandbox:framing]              a BOM, comments, `event:` and `id:` lines, events of several `data:` lines, lines that end with CR
///     [sandbox:surrogate]            the first chunk's text ends with an escape that is half of an emoji
///     [sandbox:bytes]                the first chunk's text ends with two bytes that are no UTF-8
///     [sandbox:cut-event]            of the first chunk's JSON only the first half comes
///
/// A file whose bytes hold `[sandbox:unreadable]` is refused with every call that has it: 400 "The document has no pages." where
/// it is a PDF, else "Unable to process input image."
///
/// Asked to go on (a last message that begins with "Continue" and has no directive, after an answer that was cut off), it gives
/// the rest of that answer; the directives of the question apply, and it counts as a call with the same message.
///
/// With `--faults` calls are treated as if one stood there that nobody wrote.
///
/// Every one takes `times=N`: it applies to the first N calls with this same message. (`countTokens` ignores them all.)
struct Directives {
    struct Directive {
        let name: String
        fileprivate let options: [String: String]
        /// To how many calls it applies.
        fileprivate(set) var times = Int.max

        /// A whole number of at least 0.
        func number(_ option: String, default standard: Int? = nil) throws -> Int {
            guard let text = options[option] else {
                guard let standard else { throw refused("\(option)= is missing") }
                return standard
            }
            guard let number = Int(text), (0...1 << 30).contains(number) else {
                throw refused("\(option)= takes a whole number")
            }
            return number
        }

        /// A whole number of any size.
        func count(_ option: String) throws -> Int {
            guard let number = options[option].flatMap({ Int($0) }) else {
                throw refused("\(option)= takes a whole number")
            }
            return number
        }

        /// Nil where it was not given; refused where it is none of `choices`.
        func word(_ option: String, of choices: [String]? = nil) throws -> String? {
            guard let word = options[option] else { return nil }
            if let choices, !choices.contains(word) { throw refused("\(option)= takes \(choices)") }
            return word
        }

        /// The error that `code=` names, with the RetryInfo that `retry=` does.
        func error(default standard: Int? = nil) throws -> GoogleError {
            let code = try number("code", default: standard)
            guard var error = GoogleError.plain(code: code) else { throw refused("code=\(code) is not played") }
            if let delay = try word("retry") { error.details = [.retry(after: delay)] }
            return error
        }

        func refused(_ reason: String) -> GoogleError {
            .invalid("sandbox: [sandbox:\(name)]: \(reason)")
        }
    }

    private static let options: [String: [String]] = [
        "blank": [], "stop-each": [], "tokens": ["count"], "framing": [], "surrogate": [], "bytes": [], "cut-event": [],
        "error": ["code", "retry", "hint"], "quota-daily": [], "bad-key": [], "blocked": [], "poison": [],
        "garbage": [], "drop": [],
        "say": [], "long": ["bytes"], "checked": ["words"], "safety": [], "recitation": [], "max-tokens": [],
        "finish": ["reason"], "empty": [], "thoughts": [],
        "continuation": ["hops"], "slow": ["ms"], "hang": ["ms", "after"], "chunks": ["n", "ms"],
        "fragment": ["bytes"], "stream-error": ["shape", "code", "retry"], "truncate": ["end"], "reset": [],
    ]

    private var all: [Directive] = []
    /// What stands behind `[sandbox:say]`.
    private(set) var literal: String?

    init(in message: String) throws {
        try add(message)
    }

    /// Adds those of another text. Of two with the same name the first counts.
    mutating func add(_ text: String) throws {
        var rest = text[...]
        while let opening = rest.firstRange(of: "[sandbox:") {
            rest = rest[opening.upperBound...]
            guard let closing = rest.firstIndex(of: "]") else {
                throw GoogleError.invalid("sandbox: a directive has no closing bracket")
            }
            let directive = try Self.directive(rest[..<closing].split(separator: " ").map(String.init))
            all.append(directive)
            rest = rest[closing...].dropFirst()
            if directive.name == "say" {
                literal = String(rest.first?.isWhitespace == true ? rest.dropFirst() : rest)
                return
            }
        }
    }

    private static func directive(_ words: [String]) throws -> Directive {
        let name = words.first ?? ""
        var options: [String: String] = [:]
        for word in words.dropFirst() {
            let sides = word.split(separator: "=", maxSplits: 1).map(String.init)
            options[sides.first ?? ""] = sides.count == 2 ? sides[1] : ""
        }
        var directive = Directive(name: name, options: options)
        guard let known = Self.options[name] else { throw directive.refused("there is no such directive") }
        for option in options.keys.sorted() where !(known + ["times"]).contains(option) {
            throw directive.refused("there is no option \(option)=")
        }
        directive.times = try directive.number("times", default: .max)
        return directive
    }

    subscript(name: String) -> Directive? {
        all.first { $0.name == name }
    }

    /// Whether it matters how often the message was sent.
    var areCounted: Bool {
        all.contains { $0.times < .max }
    }

    /// Those that still apply to the message's call of this number, from 1.
    func active(onCall number: Int) -> Directives {
        var active = self
        active.all.removeAll { number > $0.times }
        if active["say"] == nil { active.literal = nil }
        return active
    }

    /// The error to answer with, if one was asked for.
    func refusal(model: String) throws -> GoogleError? {
        if self["bad-key"] != nil { return .invalidKey }
        if self["quota-daily"] != nil {
            return .exhausted(.perDay, model: model, delay: "38.217645301s", withRetryInfo: true)
        }
        guard let directive = self["error"] else { return nil }
        let error = try directive.error()
        let hint = try directive.word("hint", of: ["none"])
        if error.code != 429 || hint == "none" { return error }
        let retry = try directive.word("retry")
        return .exhausted(.perMinute, model: model, delay: retry ?? "1.5s", withRetryInfo: retry != nil)
    }
}
