import ArgumentParser
import SandboxHTTP

@main
struct SandboxSMS: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox-sms",
        abstract: "Speaks Twilio's Messages API on 127.0.0.1, and takes the webhook of one-time passwords at /webhook.",
        discussion: "GET /sandbox/messages shows what came. Failures are asked for by numbers: see SMSService.swift.")

    @Option(help: "The port to listen on; 0 picks a free one.")
    var port: UInt16 = 9551

    @Option(help: "The account and its token that Twilio's clients have to name.")
    var account = "ACsandbox"

    @Option var token = "sandbox-token"

    @Option(help: "What the webhook is signed with.")
    var secret = "sandbox-secret"

    mutating func run() {
        let service = SMSService(account: account, token: token, secret: secret)
        HTTPServer(name: "sandbox-sms", handler: service.serve).run(port: port)
    }
}
