/// The text of an ordinary answer: says where it comes from, shows what was sent, and is worth rendering.
func answerText(to request: GenerateRequest, model: String, seed: Seed) -> String {
    let message = request.lastUserText
    // Asked for titles, it gives some that can be told apart.
    if request.systemInstruction?.text.hasPrefix("Give this conversation a title") == true {
        let words = message.split(whereSeparator: \.isWhitespace).dropFirst().prefix(5)
        return "Sandbox: \(words.joined(separator: " "))"
    }
    let earlier = (request.contents ?? []).count - 1
    var facts = ["- model: `\(model)`", "- earlier messages: \(earlier)"]
    if let instruction = request.systemInstruction?.text {
        facts.append("- system instruction: “\(shortened(instruction))”")
    }
    for file in (request.contents ?? []).flatMap(\.files) {
        facts.append("- file: `\(file.mimeType)`, \(file.bytes) bytes")
    }
    let closing = closings[Int(seed.number(for: "\(earlier) \(message)") % UInt64(closings.count))]
    return """
        This answer comes from the **sandbox**, not from Google: no model has read your message. 🏖️

        > \(shortened(message))

        \(facts.joined(separator: "\n"))

        \(closing)
        """
}

/// A text of exactly so many bytes.
func longText(bytes: Int) -> String {
    let sentence = "This long answer comes from the sandbox, not from Google.\n"
    let repeated = String(repeating: sentence, count: bytes / sentence.utf8.count + 1)
    return String(repeated.prefix(bytes))
}

/// A text by which a test can tell that it is whole, comes from nothing but its message, and was given the conversation
/// that went before: the message, a hash of the earlier turns, so many numbered words, and a hash of all that. A hash is
/// `Seed`'s with seed 0, in hexadecimal.
func checkedText(to request: GenerateRequest, words: Int) -> String {
    func hash(_ text: String) -> String { String(Seed(value: 0).number(for: text), radix: 16) }
    let earlier = (request.contents ?? []).dropLast().map { "\($0.role ?? "user"): \($0.text)\n" }
    let kinds = ["plain", "naïve", "“quoted”", "😀"]
    let numbered = (0..<words).map { "\($0) \(kinds[$0 % kinds.count])" }
    let text = """
        To: \(request.lastUserText)
        After: \(earlier.count) \(hash(earlier.joined()))
        \(numbered.joined(separator: ", "))

        """
    return text + hash(text)
}

extension String {
    /// At most `count` pieces of about the same size. None is empty unless the whole is.
    func pieces(_ count: Int) -> [String] {
        let total = utf8.count
        let count = min(count, total)
        if count < 2 { return [self] }
        let cuts = (1..<count).map { number in
            // Rounded down to a whole code point; what a person calls a character may be cut apart, as by Google.
            let cut = utf8.index(startIndex, offsetBy: total * number / count)
            return unicodeScalars.index(before: unicodeScalars.index(after: cut))
        }
        return zip([startIndex] + cuts, cuts + [endIndex]).map { String(self[$0..<$1]) }.filter { !$0.isEmpty }
    }

    var firstHalf: String { pieces(2).first ?? "" }
}

private func shortened(_ text: String) -> String {
    let line = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    return line.count > 200 ? "\(line.prefix(200))…" : line
}

private let closings = [
    "Had a model read it, this is where its answer would stand: a paragraph or two, with the words arriving a few at a "
        + "time. Nothing here depends on *what* you ask, so ask whatever exercises the page best.",
    """
    An answer often carries code, so here is some:

    ```swift
    func greeting(for name: String) -> String {
        name.isEmpty ? "Hello!" : "Hello, \\(name)!"
    }
    ```

    It is the same every time; only the lines above follow what you sent.
    """,
    """
    Three things that you can try next:

    1. Ask again, and see the number of *earlier messages* grow.
    2. Ask for a failure: `error code=503 times=2` in the sandbox's brackets.
    3. Configure a real key, and let Gemini answer instead.
    """,
    """
    | what is real here | what is not |
    |---|---|
    | the protocol, the chunks, the token counts | the model |
    | naïve text — with “quotes”, ünïcödé and <tags> & all | the thinking |

    A table is a good test for a page that renders Markdown.
    """,
]
