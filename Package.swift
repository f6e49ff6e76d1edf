// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// The table of contents: every endpoint is an executable of this name in Sources/handlers.
let endpoints = [
    // accounts
    "signup", "send-otp", "verify-otp", "login", "refresh", "logout", "forgot-password", "reset-password",
    "change-password",
    "list-sessions", "revoke-session", "revoke-other-sessions", "get-me", "update-me", "delete-me", "export-me",
    "list-security-events", "get-usage", "list-ledger",
    // chat
    "search-messages", "create-chatroom", "list-chatrooms", "get-chatroom", "update-chatroom", "delete-chatroom",
    "list-trash",
    "restore-chatroom", "purge-chatroom",
    "send-message", "list-messages", "get-message",
    "edit-message", "choose-message", "regenerate-reply", "continue-reply", "cancel-reply", "get-provenance",
    "stream-reply", "upload-attachment", "get-attachment", "delete-attachment",
    "share-chatroom", "list-shares", "revoke-share", "get-shared",
    // plans
    "subscribe-pro", "subscription-status", "subscription-portal", "cancel-subscription", "resume-subscription",
    "refresh-subscription", "list-invoices", "explain-subscription", "stripe-webhook",
    // operation
    "jwks", "health", "ready", "metrics",
]

/// Those of them that call Stripe: libcurl, which they link for it, costs the others 4 ms at their start.
let callers: Set = [
    "subscribe-pro", "subscription-portal", "cancel-subscription", "resume-subscription", "refresh-subscription",
    "list-invoices",
]

/// Those of them that ask Postgres something, by the function NAME.sql in their folder.
let callersOfPostgres = endpoints.filter { !["jwks", "health"].contains($0) }

/// The Swift of the endpoints' folders: SwiftPM wants to know that the functions beside it are embedded without it.
let handlerSources = (FileManager.default.subpaths(atPath: "\(Context.packageDirectory)/Sources/handlers") ?? [])
    .filter { $0.hasSuffix(".swift") && $0 != "EndpointFunctions.swift" }

let package = Package(
    name: "gemini-chat-backend",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        .systemLibrary(
            name: "CFCGI", path: "Sources/Common/C/fcgi", pkgConfig: "fcgi", providers: [.apt(["libfcgi-dev"])]),
        .systemLibrary(name: "CLinux", path: "Sources/Common/C/linux"),
        .systemLibrary(
            name: "CPQ", path: "Sources/Common/C/pq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CSodium", path: "Sources/Common/C/sodium", pkgConfig: "libsodium",
            providers: [.apt(["libsodium-dev"])]),
        .systemLibrary(
            name: "CCurl", path: "Sources/Upstream/C/curl", pkgConfig: "libcurl",
            providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(
            name: "Common", dependencies: ["CFCGI", "CLinux", "CPQ", "CSodium"], exclude: ["C", "Schema/schema.sql"],
            resources: [.embedInCode("Schema"), .embedInCode("Passwords")]),
        // Each endpoint's function lies in its folder; the worker applies them.
        .target(
            name: "EndpointFunctions", dependencies: ["Common"], path: "Sources/handlers", exclude: handlerSources,
            sources: ["EndpointFunctions.swift"],
            resources: callersOfPostgres.map { .embedInCode("\($0)/\($0).sql") }),
        .target(name: "Upstream", dependencies: ["CCurl", "Common"], exclude: ["C"]),
        .target(name: "SandboxHTTP", path: "Sources/sandbox/http"),
        .executableTarget(
            name: "sandbox-gemini",
            dependencies: ["SandboxHTTP", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Sources/sandbox/gemini"),
        .executableTarget(
            name: "sandbox-sms",
            dependencies: [
                "Common", "SandboxHTTP", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/sandbox/sms"),
        .executableTarget(
            name: "sandbox-stripe",
            dependencies: [
                "Common", "SandboxHTTP", "Upstream", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/sandbox/stripe"),
        .executableTarget(
            name: "cron-worker",
            dependencies: [
                "Common", "EndpointFunctions", "Upstream",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        // Small because it is alone: no library is shared, and nothing of Swift's is linked into it.
        .executableTarget(
            name: "doze", linkerSettings: [.unsafeFlags(["-static-executable", "-nostartfiles"])]),
        .target(name: "TestSupport", dependencies: ["Common"], path: "Tests/Support"),
        // Tests wait for processes more than they compute: compiled file by file, without optimization, a change takes
        // seconds to build.
        .testTarget(
            name: "BackendTests", dependencies: ["Common", "TestSupport"], path: "Tests/BackendTests",
            swiftSettings: [.unsafeFlags(["-Onone", "-no-whole-module-optimization", "-enable-batch-mode"])]),
    ]
        + endpoints.map {
            .executableTarget(
                name: $0, dependencies: callers.contains($0) ? ["Common", "Upstream"] : ["Common"],
                path: "Sources/handlers/\($0)", exclude: callersOfPostgres.contains($0) ? ["\($0).sql"] : [])
        }
)
