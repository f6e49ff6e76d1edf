import Glibc

/// Lines of JSON on standard error, one an event, for whatever collects the host's logs.
///
/// Of errors and notices with the same message a process writes 10 a second; the next line after a flood says how many it left out.
public enum Log {
    /// Something an operator has to know or mend.
    public static func error(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        writeSampled("error", message, fields)
    }

    /// Something out of the ordinary that mends itself.
    public static func notice(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        if Settings.logLevel != "error" { writeSampled("notice", message, fields) }
    }

    /// A line that somebody waits for, such as a one-time password: none is left out.
    public static func delivery(_ message: String, _ fields: KeyValuePairs<String, String>) {
        write("error", message, fields)
    }

    /// What happens all the time; the message is not built unless it is logged.
    public static func info(
        _ message: @autoclosure () -> String, _ fields: @autoclosure () -> KeyValuePairs<String, String> = [:]
    ) {
        if Settings.logLevel == "info" { write("info", message(), fields()) }
    }

    /// The executable's name, which is the endpoint's.
    public static let program: String = {
        let path = CommandLine.arguments.first ?? ""
        return String(path.split(separator: "/").last ?? "unknown")
    }()

    private static let mostPerSecond = 10
    /// By message: the second (monotonic) of its last line, and how many lines there were in that second.
    private nonisolated(unsafe) static var floods: [String: (second: Int, count: Int)] = [:]
    /// Of `floods`: the worker's upkeep logs from a thread of its own.
    private nonisolated(unsafe) static var lock = pthread_mutex_t()

    private static func writeSampled(_ level: String, _ message: String, _ fields: KeyValuePairs<String, String>) {
        let second = monotonicMilliseconds() / 1_000
        pthread_mutex_lock(&lock)
        let last = floods[message] ?? (second, 0)
        let isNew = last.second != second
        let count = isNew ? 1 : last.count + 1
        floods[message] = (second, count)
        pthread_mutex_unlock(&lock)
        guard count <= mostPerSecond else { return }
        let leftOut = isNew ? last.count - mostPerSecond : 0
        write(level, message, fields, leftOut: max(0, leftOut))
    }

    private static func write(
        _ level: String, _ message: String, _ fields: KeyValuePairs<String, String>, leftOut: Int = 0
    ) {
        var line = "{\"time\":\"\(Clock.timestamp)\",\"level\":\"\(level)\",\"program\":\(quoted(program))"
        line += ",\"pid\":\(getpid()),\"message\":\(quoted(message))"
        for (name, value) in fields { line += ",\(quoted(name)):\(quoted(value))" }
        if leftOut > 0 { line += ",\"left_out\":\(leftOut)" }
        line += "}\n"
        // One write a line, so that lines of several processes on one file do not mix.
        line.withUTF8 { bytes in _ = Glibc.write(2, bytes.baseAddress, bytes.count) }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case _ where scalar.value < 0x20:
                result += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
