import Foundation
import TestSupport
import Testing

/// One name everywhere: whoever adds an endpoint is told here what was forgotten.
struct EndpointsTests {
    @Test
    func `Each endpoint has its folder, its line in Package swift, its route and its tests`() throws {
        let folders = try names("Sources/handlers").filter { !$0.contains(".") }
        #expect(folders.count >= 12)
        #expect(try listed() == folders)
        #expect(try routed() == folders)
        let functions = try String(
            contentsOfFile: "\(projectFolder)/Sources/handlers/EndpointFunctions.swift", encoding: .utf8)
        let applied = functions.matches(of: /\("([a-z-]+)", PackageResources/).map { String($0.output.1) }
        #expect(Set(applied) == folders.subtracting(["health", "jwks"]))
        let tests = try names("Tests/BackendTests/handlers")
        #expect(tests == Set(folders.map { "\(typeName($0))Tests.swift" }))
    }

    @Test
    func `The contract has each route by its method, path and name`() throws {
        let routes = try String(contentsOfFile: "\(projectFolder)/nginx/routes.conf", encoding: .utf8)
            .matches(of: /(?m)^"(?:~\^)?(?<method>[A-Z]+) (?<path>[^"$]+)\$?" +(?<name>[a-z-]+);/)
            .map { route in
                // A named group of the pattern is a parameter of the contract.
                let path = route.path.replacing(/\(\?<(?<name>[a-z_]+)>[^)]*\)/) { "{\($0.name)}" }
                return "\(route.name): \(route.method) \(path.replacing("\\.", with: "."))"
            }
        let operations = try Contract().operations
        #expect(Set(routes).count == routes.count && routes.count >= 33)
        #expect(Set(operations.map(\.id)).count == operations.count)
        #expect(Set(operations.map { "\($0.name): \($0.method) \($0.path)" }) == Set(routes))
    }

    @Test
    func `The contract has each code of an error, an endpoint's own at the endpoint, and no other`() throws {
        let contract = try Contract()
        var sources = ""
        for file in try FileManager.default.subpathsOfDirectory(atPath: "\(projectFolder)/Sources") {
            guard ["swift", "sql"].contains(file.split(separator: ".").last) else { continue }
            let text = try String(contentsOfFile: "\(projectFolder)/Sources/\(file)", encoding: .utf8)
            sources += text
            let codes = text.matches(of: /(?:Problem\(\s*\d{3},|unauthorized\()\s*"([a-z_]+)"/).map {
                String($0.output.1)
            }
            let folders = file.split(separator: "/")
            let operation = contract.operations.first { folders[0] == "handlers" && $0.id == folders[1] }
            let documented = contract.codes(of: operation?.text ?? contract.text)
            for code in codes { #expect(documented.contains(code), "\(code) of \(file)") }
        }
        sources += try String(contentsOfFile: "\(projectFolder)/nginx/nginx.conf", encoding: .utf8)
        let codes = contract.codes(of: contract.text)
        #expect(codes.count >= 25)
        for code in codes {
            #expect(sources.contains("\"\(code)\"") || sources.contains("'\(code)'"), "\(code)")
        }
    }

    private func names(_ folder: String) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: "\(projectFolder)/\(folder)"))
    }

    private func listed() throws -> Set<String> {
        let text = try String(contentsOfFile: "\(projectFolder)/Package.swift", encoding: .utf8)
        let list = try #require(text.firstMatch(of: /let endpoints = \[(?<names>[^\]]*)\]/)).output.names
        return Set(list.matches(of: /"([a-z-]+)"/).map { String($0.output.1) })
    }

    private func routed() throws -> Set<String> {
        let text = try String(contentsOfFile: "\(projectFolder)/nginx/routes.conf", encoding: .utf8)
        return Set(text.matches(of: /(?m)^"[^"]*" +([a-z-]+);/).map { String($0.output.1) })
    }

    /// `send-otp` is `SendOTP`.
    private func typeName(_ endpoint: String) -> String {
        endpoint.split(separator: "-").map { ["otp", "jwks"].contains($0) ? $0.uppercased() : $0.capitalized }.joined()
    }
}

/// openapi.yaml, as far as it is compared: by its lines, as it is laid out.
private struct Contract {
    struct Operation {
        let id: String
        let method: String
        let path: String
        let text: String
        /// The endpoint's: a second path has an id of its own.
        var name: String { id.hasSuffix("-alias") ? String(id.dropLast("-alias".count)) : id }
    }

    let text: String
    let operations: [Operation]
    /// The shared answers by their names.
    private let responses: [String: String]

    init() throws {
        text = try String(contentsOfFile: "\(projectFolder)/openapi.yaml", encoding: .utf8)
        let parts = text.split(separator: /(?m)^(?:paths|components):$/)
        operations = Contract.blocks(parts[1], indent: 2).flatMap { path, block in
            Contract.blocks(block, indent: 4).compactMap { method, text in
                text.firstMatch(of: /(?m)^      operationId: (\S+)$/).map {
                    Operation(id: String($0.output.1), method: method.uppercased(), path: path, text: text)
                }
            }
        }
        let shared = Dictionary(uniqueKeysWithValues: Contract.blocks(String(parts[2]), indent: 2))
        responses = Dictionary(uniqueKeysWithValues: Contract.blocks(shared["responses"] ?? "", indent: 4))
    }

    /// The codes that a part of it names, and those of the shared answers that it refers to.
    func codes(of text: String) -> Set<String> {
        let shared = text.matches(of: /#\/components\/responses\/(\w+)/).compactMap { responses[String($0.output.1)] }
        let lists = ([text] + shared).joined().matches(of: /code: \{enum: \[([a-z_, ]+)\]/)
        return Set(lists.flatMap { $0.output.1.split(separator: ", ").map(String.init) })
    }

    /// What stands under each key of this indentation.
    private static func blocks(_ text: some StringProtocol, indent: Int) -> [(String, String)] {
        var blocks: [(String, String)] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let depth = line.prefix { $0 == " " }.count
            if depth == indent, line.hasSuffix(":") {
                blocks.append((String(line.dropFirst(indent).dropLast()), ""))
            } else if !blocks.isEmpty {
                blocks[blocks.count - 1].1 += line + "\n"
            }
        }
        return blocks
    }
}
