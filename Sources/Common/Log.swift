import Glibc

/// Lines of JSON on standard error, one an event, for whatever collects the host's logs.
public enum Log {
    /// Something an operator has to know or mend.
    public static func error(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        write("error", message, fields)
    }

    /// Something out of the ordinary that mends itself.
    public static func notice(_ message: String, _ fields: KeyValuePairs<String, String> = [:]) {
        if Settings.logLevel != "error" { write("notice", message, fields) }
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

    private static func write(_ level: String, _ message: String, _ fields: KeyValuePairs<String, String>) {
        var line = "{\"time\":\"\(Clock.timestamp)\",\"level\":\"\(level)\",\"program\":\(quoted(program))"
        line += ",\"pid\":\(getpid()),\"message\":\(quoted(message))"
        for (name, value) in fields { line += ",\(quoted(name)):\(quoted(value))" }
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
