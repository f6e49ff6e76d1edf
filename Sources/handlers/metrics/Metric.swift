import Common

/// A family of samples in the text format of Prometheus, and where they come from.
struct Metric {
    enum Kind: String { case counter, gauge }

    let name: String
    let kind: Kind
    let help: String
    /// The names of its labels, two at most.
    let labels: [String]
    /// Selects the values of the labels, in this order, and the sample's value; a sample whose value is NULL is left out.
    let sql: SQL

    init(_ name: String, _ help: String, _ kind: Kind = .gauge, labels: [String] = [], sql: SQL) {
        self.name = "chat_" + name
        self.kind = kind
        self.help = help
        self.labels = labels
        self.sql = sql
    }

    /// A sample of the family with this number.
    struct Sample: Decodable {
        let family: Int
        let first: String?
        let second: String?
        /// As Postgres writes a number.
        let value: String
    }

    /// Selects the samples of all families.
    static func samples(of metrics: [Metric]) -> SQL {
        var all: SQL = ""
        for (number, metric) in metrics.enumerated() {
            let columns: SQL =
                switch metric.labels.count {
                case 0: "null::text, null::text, s.a"
                case 1: "s.a::text, null, s.b"
                default: "s.a::text, s.b::text, s.c"
                }
            let names: SQL = metric.labels.isEmpty ? "(a)" : metric.labels.count == 1 ? "(a, b)" : "(a, b, c)"
            let select: SQL = "select \(number)::int as family, \(columns) from (\(metric.sql)) s \(names)"
            all = number == 0 ? select : "\(all) union all \(select)"
        }
        return
            "select family, first, second, value from (\(all)) s (family, first, second, value) where value is not null"
    }

    /// The family as text (the exposition format 0.0.4).
    func text(_ samples: [Sample]) -> String {
        var text = "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for sample in samples {
            let pairs = zip(labels, [sample.first, sample.second]).map { "\($0)=\"\(escaped($1 ?? ""))\"" }
            text += "\(name)\(pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}") \(sample.value)\n"
        }
        return text
    }

    private func escaped(_ value: String) -> String {
        value.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\")
            .split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"")
            .split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\\n")
    }
}
