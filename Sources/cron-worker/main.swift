import ArgumentParser
import Common

/// The command line; everything else is set in the environment.
struct CronWorker: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cron-worker",
        abstract: "Makes the replies that are queued. Started by cron every minute; several at once are harmless.")

    @Flag(help: "Bring the database's schema up to date, and end.")
    var migrate = false

    @Option(help: "Seconds after which no more is begun; what is under way is finished.")
    var seconds = 62

    func run() throws {
        do {
            if migrate {
                let applied = try Migrations.apply(to: Database(timeout: 600_000))
                print(applied.isEmpty ? "schema is up to date" : "applied \(applied.joined(separator: ", "))")
            } else {
                try Worker().run(seconds: seconds)
            }
        } catch {
            Log.error("cron-worker failed", ["reason": "\(error)"])
            throw ExitCode.failure
        }
    }
}

CronWorker.main()
