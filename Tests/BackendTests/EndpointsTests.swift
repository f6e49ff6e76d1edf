import Foundation
import TestSupport
import Testing

/// One name everywhere: whoever adds an endpoint is told here what was forgotten.
@Suite(.threads)
struct EndpointsTests {
    @Test
    func `Each endpoint has its folder, its line in Package swift, its route and its tests`() throws {
        try expectEndpointsEverywhere(in: projectFolder)
    }

    private func expectEndpointsEverywhere(in root: String) throws {
        let folders = try names("\(root)/Sources/handlers").filter { !$0.contains(".") }
        #expect(folders.count >= 12)
        #expect(try listed(in: root) == folders)
        #expect(try routed(in: root) == folders)
        let functions = try String(contentsOfFile: "\(root)/Sources/handlers/EndpointFunctions.swift", encoding: .utf8)
        let applied = functions.matches(of: /\("([a-z-]+)", PackageResources/).map { String($0.output.1) }
        #expect(Set(applied) == folders.subtracting(["health", "jwks"]))
        let tests = try names("\(root)/Tests/BackendTests/handlers")
        #expect(tests == Set(folders.map { "\(typeName($0))Tests.swift" }))
    }

    @Test
    func `The contract has each route by its method, path and name`() throws {
        try expectRoutesInContract(in: projectFolder)
    }

    private func expectRoutesInContract(in root: String) throws {
        let routes = try String(contentsOfFile: "\(root)/nginx/routes.conf", encoding: .utf8)
            .matches(of: /(?m)^"(?:~\^)?(?<method>[A-Z]+) (?<path>[^"$]+)\$?" +(?<name>[a-z-]+);/)
            .map { route in
                // A named group of the pattern is a parameter of the contract.
                let path = route.path.replacing(/\(\?<(?<name>[a-z_]+)>[^)]*\)/) { "{\($0.name)}" }
                return "\(route.name): \(route.method) \(path.replacing("\\.", with: "."))"
            }
        let operations = try Contract(in: root).operations
        #expect(Set(routes).count == routes.count && routes.count >= 33)
        #expect(Set(operations.map(\.id)).count == operations.count)
        #expect(Set(operations.map { "\($0.name): \($0.method) \($0.path)" }) == Set(routes))
    }

    @Test
    func `The contract has each code of an error, an endpoint's own at the endpoint, and no other`() throws {
        let contract = try Contract(in: projectFolder)
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

    // MARK: bin/new-endpoint

    @Test
    func `bin new-endpoint adds an endpoint to every list`() throws {
        let copy = try ProjectCopy()
        for endpoint in [
            ["list-tags", "GET", "/tags"], ["create-tag", "POST", "/tags"],
            ["list-chatroom-tags", "GET", "/chatroom/{chatroom_id}/tags"], ["get-limits", "GET", "/user/limits"],
        ] {
            let made = try copy.run("bin/new-endpoint", endpoint)
            #expect(made.exit == .code(0), "\(made.error)")
            #expect(try listed(in: copy.path).contains(endpoint[0]))
        }
        try expectEndpointsEverywhere(in: copy.path)
        try expectRoutesInContract(in: copy.path)
        let purposes = try String(contentsOfFile: "\(copy.path)/Sources/Common/KeyPurpose.swift", encoding: .utf8)
        #expect(purposes.contains("\"list-tags\","))
        let checked = try Python.run(["\(copy.path)/Tests/Python/contract.py"])
        #expect(checked.exit == .code(0), "\(checked.error)")
        let requests = try String(contentsOfFile: "\(copy.path)/requests.http", encoding: .utf8)
        let collection = try String(
            contentsOfFile: "\(copy.path)/postman/gemini-chat-backend.postman_collection.json", encoding: .utf8)
        #expect(requests.contains("\nGET {{base_url}}/chatroom/{{chatroom_id}}/tags\n"))
        #expect(collection.contains("\"raw\": \"{{base_url}}/chatroom/{{chatroom_id}}/tags\""))
    }

    @Test
    func `bin new-endpoint refuses what cannot be an endpoint, and writes nothing`() throws {
        let copy = try ProjectCopy()
        let refusals: [(endpoint: [String], reason: String)] = [
            (["get-me", "GET", "/tags"], "exists"), (["List-tags", "GET", "/tags"], "no name"),
            (["list-", "GET", "/tags"], "no name"), (["list_tags", "GET", "/tags"], "no name"),
            (["list-the-tags-of-all-chatrooms", "GET", "/tags"], "letters"), (["worker", "GET", "/tags"], "program"),
            (["doze", "GET", "/tags"], "program"), (["quota", "GET", "/tags"], "QuotaTests"),
            (["list-tags", "PUT", "/tags"], "PUT"), (["list-tags", "GET", "tags"], "no path"),
            (["list-tags", "GET", "/tags/{tag_id}"], "tag_id"), (["list-tags", "GET", "/user/me"], "get-me"),
        ]
        for (endpoint, reason) in refusals {
            let refused = try copy.run("bin/new-endpoint", endpoint)
            #expect(refused.exit == .code(1))
            #expect(refused.error.hasPrefix("bin/new-endpoint: ") && refused.error.contains(reason), "\(refused.error)")
        }
        #expect(try copy.run("/usr/bin/diff", ["-r", "\(projectFolder)/Sources", "Sources"]).exit == .code(0))
        #expect(try copy.run("/usr/bin/cmp", ["\(projectFolder)/openapi.yaml", "openapi.yaml"]).exit == .code(0))
    }

    private func names(_ folder: String) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: folder))
    }

    private func listed(in root: String) throws -> Set<String> {
        let text = try String(contentsOfFile: "\(root)/Package.swift", encoding: .utf8)
        let list = try #require(text.firstMatch(of: /let endpoints = \[(?<names>[^\]]*)\]/)).output.names
        return Set(list.matches(of: /"([a-z-]+)"/).map { String($0.output.1) })
    }

    private func routed(in root: String) throws -> Set<String> {
        let text = try String(contentsOfFile: "\(root)/nginx/routes.conf", encoding: .utf8)
        return Set(text.matches(of: /(?m)^"[^"]*" +([a-z-]+);/).map { String($0.output.1) })
    }

    /// `send-otp` is `SendOTP`.
    private func typeName(_ endpoint: String) -> String {
        endpoint.split(separator: "-").map { ["otp", "jwks"].contains($0) ? $0.uppercased() : $0.capitalized }.joined()
    }
}

/// A copy of what bin/new-endpoint reads and writes.
private struct ProjectCopy {
    let folder: Folder
    var path: String { folder.path }

    init() throws {
        folder = try Folder()
        let parts = [
            "Package.swift", "Sources", "Tests/BackendTests", "Tests/Python/contract.py", "bin", "nginx/routes.conf",
            "openapi.yaml", "postman", "requests.http",
        ]
        let copying = try Executable(
            "/usr/bin/env", ["-C", projectFolder, "cp", "-a", "--parents"] + parts + [folder.path], folder: folder.path)
        guard try copying.wait() == .code(0) else { throw Executable.Failure(copying.error) }
    }

    /// Runs a program in it.
    func run(_ program: String, _ arguments: [String]) throws -> (exit: Executable.Exit, error: String) {
        let process = try Executable("/usr/bin/env", ["-C", path, program] + arguments, folder: path)
        return (try process.wait(), process.error)
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

    init(in root: String) throws {
        text = try String(contentsOfFile: "\(root)/openapi.yaml", encoding: .utf8)
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
